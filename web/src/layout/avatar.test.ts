import { expect, it } from 'vitest';
import { colourIndex, initials } from './avatar';

it.each([
  ['Ada', 'A'],
  ['ada lovelace', 'AL'],
  ['  Augusta Ada King  ', 'AK'],
  ['دينا', 'د'],
  ['👩‍🚀 Sally', '👩‍🚀S'],
  ['e\u0301lan', 'E\u0301'],
  ['', ''],
])('initials of %j are %j', (name, expected) => {
  expect(initials(name)).toBe(expected);
});

it('a name keeps its colour, and names differ', () => {
  expect(colourIndex('Ada')).toBe(colourIndex('Ada'));
  const colours = new Set(
    ['Ada', 'Ben', 'Cy', 'Dina', 'Eve', 'Fay', 'Gil', 'Hal'].map(colourIndex),
  );
  expect(colours.size).toBeGreaterThan(3);
  for (const colour of colours) expect(colour).toBeGreaterThanOrEqual(0);
});
