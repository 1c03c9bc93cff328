import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { ErrorFrame } from './frames';
import { endsForGood, fateOf } from './verdicts';
import type { Fate } from './verdicts';

const frame = (code: number, body: Partial<ErrorFrame['body']> = {}): ErrorFrame => {
  const said = { message: '', tryAgain: false, shouldClientReset: false, action: 'Warning' };
  return { type: 'error', code, name: '', session: 1, body: { ...said, ...body } };
};
const again = { tryAgain: true, action: 'Transient' };
const reset = { tryAgain: true, shouldClientReset: true, action: 'ClientReset' };

/** The table of docs/reference/sync.md. */
const TABLE: [number, Partial<ErrorFrame['body']>, Fate][] = [
  [100, {}, 'reconnect'],
  [101, again, 'reconnect'],
  [102, {}, 'ignore'],
  [103, {}, 'reconnect'],
  [104, again, 'reconnect'],
  [106, {}, 'ignore'],
  [107, {}, 'bug'],
  [109, {}, 'bug'],
  [200, again, 'again'],
  [201, again, 'again'],
  [202, {}, 'token'],
  [203, {}, 'token'],
  [204, {}, 'stop'],
  [205, {}, 'forget'],
  [206, {}, 'stop'],
  [208, reset, 'rename'],
  [209, reset, 'begin_anew'],
  [209, again, 'again'],
  [210, reset, 'begin_anew'],
  [210, {}, 'bug'],
  [211, reset, 'begin_anew'],
  [212, {}, 'bug'],
  [222, reset, 'begin_anew'],
  [223, reset, 'rename'],
  [224, {}, 'stop'],
  [228, {}, 'stop'],
  [231, {}, 'warn'],
];

describe('an error of the server', () => {
  it.each(TABLE)('%i with %j means %s', (code, body, fate) => {
    expect(fateOf(frame(code, body))).toBe(fate);
  });

  it('signs out wherever it says so', () => {
    expect(fateOf(frame(228, { action: 'LogOutUser' }))).toBe('sign_out');
  });

  it('has its line for every code that the server sends', () => {
    const source = new URL('../../../../signaling/sync/errors.py', import.meta.url);
    const listed =
      /class SyncCode\(IntEnum\):.*?\n\n\n/s.exec(readFileSync(source, 'utf8'))?.[0] ?? '';
    const codes = [...listed.matchAll(/= (\d{3})$/gm)].map(([, code]) => Number(code));
    expect(codes.length).toBeGreaterThan(20);
    expect(new Set(TABLE.map(([code]) => code))).toEqual(new Set(codes));
  });

  it('ends for good when the session is over', () => {
    expect([1000, 1006, 1012, 1013, 4408].some(endsForGood)).toBe(false);
    expect([4401, 4403].every(endsForGood)).toBe(true);
  });
});
