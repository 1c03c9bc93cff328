// The client's own log: the last lines, without secrets or what people wrote (row B12). The person may
// read it and send it; nothing is sent by itself. Lines are redacted as they come in: what is not kept
// cannot leak.

const LEVELS = ['debug', 'info', 'warning', 'error'] as const;
export type Level = (typeof LEVELS)[number];

const KEPT = 2000;
const MOST_LETTERS = 500;
const HIDDEN = '***';

// What people wrote, where a frame or an error quotes it.
const SAID = /("(?:text|body|name|topic|ct|caption)"\s*:\s*)(?:"(?:[^"\\]|\\.)*"|\{[^{}]*\})/g;
const NAMED = /\b(bearer|ticket|token|password|salt|secret|cookie)("?\s*[=: ]\s*"?)[^\s",}]+/gi;
const LONG = /\b[\w-]{32,}\b/g;
const MAIL = /[^\s"<>]+@[^\s"<>]+/g;

export function redact(text: string): string {
  return text
    .replaceAll(SAID, `$1"${HIDDEN}"`)
    .replaceAll(NAMED, `$1$2${HIDDEN}`)
    .replaceAll(LONG, HIDDEN)
    .replaceAll(MAIL, HIDDEN);
}

export interface Line {
  /** Unix time in seconds. */
  readonly at: number;
  readonly level: Level;
  readonly text: string;
}

export class LogRing {
  private lines: Line[] = [];

  /** `now` gives Unix time in milliseconds. */
  constructor(
    private readonly now: () => number,
    private readonly kept: number = KEPT,
  ) {}

  write(level: Level, text: string): void {
    this.lines.push({ at: this.now() / 1000, level, text: redact(text).slice(0, MOST_LETTERS) });
    if (this.lines.length > 2 * this.kept) this.lines = this.lines.slice(-this.kept);
  }

  /** From `level` up, oldest first. */
  read(level: Level = 'debug'): readonly Line[] {
    const least = LEVELS.indexOf(level);
    const lines = this.lines.slice(-this.kept);
    return lines.filter((line) => LEVELS.indexOf(line.level) >= least);
  }

  clear(): void {
    this.lines = [];
  }
}
