// The reducer comes to what tests/golden/chat says, in any order of the entries: the server's cases.
import { readFileSync, readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Messages, isEntry } from './messages';
import type { Entry, Place } from './model';
import { advanced } from './room-state';
import type { RoomView } from './views';

interface Case {
  readonly about: string;
  readonly entries: Place[];
  readonly view: RoomView;
}

const FOLDER = new URL('../../../../tests/golden/chat/', import.meta.url);
const CASES = readdirSync(FOLDER)
  .filter((name) => name.endsWith('.json'))
  .map((name) => [name, JSON.parse(readFileSync(new URL(name, FOLDER), 'utf8')) as Case] as const);

/** As JSON has it: no undefined, no prototypes. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

const known = (places: readonly Place[]): Entry[] => places.filter(isEntry);

describe('the golden cases', () => {
  it('are there', () => {
    expect(CASES.length).toBeGreaterThan(10);
  });

  it.each(CASES)('%s', (_, { entries, view }) => {
    expect(known(entries)).toHaveLength(entries.length);
    expect(plain(new Messages(known(entries)).all())).toEqual(view.messages);
    expect(plain(advanced(null, known(entries)))).toEqual(view.state);
  });

  it.each(CASES)('%s whatever the order of its entries, and twice', (_, { entries, view }) => {
    const shuffled = [...known(entries).toReversed(), ...known(entries)];
    expect(plain(new Messages(shuffled).all())).toEqual(view.messages);
  });

  it.each(CASES)('%s on top of a state that holds its first half', (_, { entries, view }) => {
    const half = Math.floor(entries.length / 2);
    const state = advanced(null, known(entries.slice(0, half)));
    expect(plain(advanced(state, known(entries)))).toEqual(view.state);
  });
});

describe('what is left out', () => {
  const place = { seq: 1, ident: '1', version: 1, clock: 1, at: '2026-01-01T00:00:00Z' };

  it('is what this version does not know', () => {
    expect(isEntry({ ...place, account: 'ana', part: 'member', op: { type: 'hologram' } })).toBe(
      false,
    );
  });

  it('is what belongs to another partition', () => {
    expect(isEntry({ ...place, op: { type: 'post', id: 'x' } })).toBe(false);
  });
});
