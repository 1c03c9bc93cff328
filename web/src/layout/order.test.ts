import { describe, expect, it } from 'vitest';
import { placeTiles } from './order';
import type { Placed } from './order';

const one = (id: string, more: Partial<Placed> = {}): Placed => ({
  id,
  local: false,
  speaking: false,
  spokeAt: 0,
  hasCamera: false,
  joinedAt: 0,
  ...more,
});
const me = one('me', { local: true, joinedAt: 9 });

describe('placeTiles', () => {
  it('begins with you, then who speaks, has a picture, came first', () => {
    const people = [
      one('late', { joinedAt: 5 }),
      one('early', { joinedAt: 1 }),
      one('picture', { hasCamera: true, joinedAt: 7 }),
      one('loud', { speaking: true, joinedAt: 8 }),
      me,
    ];
    expect(placeTiles([], people, 25)).toEqual(['me', 'loud', 'picture', 'early', 'late']);
  });

  it('moves nobody because somebody speaks, comes or goes', () => {
    const before = ['me', 'a', 'b', 'c'];
    const people = [me, one('a'), one('b'), one('c', { speaking: true })];
    expect(placeTiles(before, people, 25)).toBe(before);
    expect(placeTiles(before, [...people, one('d')], 25)).toEqual(['me', 'a', 'b', 'c', 'd']);
    expect(placeTiles(before, [me, one('b'), one('c')], 25)).toEqual(['me', 'b', 'c']);
  });

  it('lets a speaker of a later page change places with one quiet person of the first', () => {
    const before = ['me', 'a', 'b', 'c', 'd'];
    const people = [
      me,
      one('a', { hasCamera: true }),
      one('b'),
      one('c'),
      one('d', { speaking: true }),
    ];
    expect(placeTiles(before, people, 3)).toEqual(['me', 'a', 'd', 'c', 'b']);
  });

  it('leaves the first page alone when all there speak', () => {
    const before = ['me', 'a', 'b'];
    const people = [me, one('a', { speaking: true }), one('b', { speaking: true })];
    expect(placeTiles(before, people, 2)).toBe(before);
  });

  it('has an answer for nobody', () => {
    expect(placeTiles([], [], 25)).toEqual([]);
    expect(placeTiles(['gone'], [], 25)).toEqual([]);
  });
});
