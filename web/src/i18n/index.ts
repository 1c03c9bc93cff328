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

const DAY = new Intl.DateTimeFormat(LOCALE, { dateStyle: 'medium' });
const MOMENT = new Intl.DateTimeFormat(LOCALE, { dateStyle: 'medium', timeStyle: 'short' });

/** Seconds since 1970, as the server gives times, in this device's time zone. */
export function day(seconds: number): string {
  return DAY.format(seconds * 1_000);
}

export function moment(seconds: number): string {
  return MOMENT.format(seconds * 1_000);
}
