// Texts by key, in ICU message format. en.json is the source and the type; nothing is concatenated.
// Framework-free: components call t(), the client core only names keys.
import { IntlMessageFormat } from 'intl-messageformat';
import en from './en.json';

export type MessageKey = keyof typeof en;
export type Values = Readonly<Record<string, string | number>>;

/** A text that somebody else will render: the core says what, the screen says it in words. */
export interface Message {
  readonly key: MessageKey;
  readonly values?: Values;
}

const messages: Readonly<Record<MessageKey, string>> = en;
const LOCALE = 'en';
const compiled = new Map<MessageKey, IntlMessageFormat>();

export function t(key: MessageKey, values?: Values): string {
  let format = compiled.get(key);
  if (format === undefined) {
    format = new IntlMessageFormat(messages[key], LOCALE);
    compiled.set(key, format);
  }
  return String(format.format(values));
}

/** Keeps a right-to-left name from turning its surroundings round where <bdi> cannot be used. */
export function isolate(name: string): string {
  return `\u2068${name}\u2069`;
}
