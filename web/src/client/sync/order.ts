// How things are ordered and left out, so that every client comes to the same: text by code points (the
// server's order, which is not that of UTF-16), stamps, and times finer than JavaScript's. Pure.
import type { Stamp } from './model';

/** By code points. */
export function byText(a: string, b: string): number {
  if (a === b) return 0;
  const left = Array.from(a);
  const right = Array.from(b);
  const shared = Math.min(left.length, right.length);
  for (let place = 0; place < shared; place += 1) {
    const difference = (left[place]?.codePointAt(0) ?? 0) - (right[place]?.codePointAt(0) ?? 0);
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}

export function byStamp(a: Stamp, b: Stamp): number {
  return a[0] - b[0] || byText(a[1], b[1]) || a[2] - b[2];
}

export function stampOf(entry: { clock: number; ident: string; version: number }): Stamp {
  return [entry.clock, entry.ident, entry.version];
}

/** Microseconds of Unix time (RFC 3339 section 5.6); Date alone forgets what is below a millisecond. */
export function micros(text: string): number {
  const fraction = /\.(\d+)/.exec(text)?.[1] ?? '';
  const below = Number(fraction.padEnd(6, '0').slice(3, 6));
  return Date.parse(text) * 1000 + below;
}

const EMPTY: ReadonlySet<unknown> = new Set([undefined, null, false, '']);

/** Without what says nothing, as the server writes it. */
export function lean<T extends object>(value: T): T {
  const kept = Object.entries(value).filter(([, item]) => !EMPTY.has(item) && !isBare(item));
  return Object.fromEntries(kept) as T;
}

function isBare(item: unknown): boolean {
  return typeof item === 'object' && item !== null && Object.keys(item).length === 0;
}
