import { describe, expect, it } from 'vitest';
import { TILES_PER_PAGE, fitGrid } from './grid';

const DESKTOP = { width: 1256, height: 640 };
const PHONE = { width: 366, height: 690 };

describe('fitGrid', () => {
  it('gives one person the whole space, within pleasant shapes', () => {
    const { tile } = fitGrid(1, DESKTOP);
    expect(tile.height).toBe(640);
    expect(tile.width / tile.height).toBeCloseTo(16 / 9, 1);
  });

  it('stands people side by side on a desktop and above each other on a phone', () => {
    expect(fitGrid(2, DESKTOP)).toMatchObject({ columns: 2, rows: 1 });
    expect(fitGrid(2, PHONE)).toMatchObject({ columns: 1, rows: 2 });
    expect(fitGrid(9, DESKTOP)).toMatchObject({ columns: 3, rows: 3 });
  });

  it.each([DESKTOP, PHONE, { width: 300, height: 120 }])('always fits: %o', (space) => {
    for (let count = 1; count <= TILES_PER_PAGE; count += 1) {
      const { columns, rows, tile } = fitGrid(count, space);
      expect(columns * rows).toBeGreaterThanOrEqual(count);
      expect(columns * tile.width + (columns - 1) * 8).toBeLessThanOrEqual(space.width);
      expect(rows * tile.height + (rows - 1) * 8).toBeLessThanOrEqual(space.height);
      expect(tile.width).toBeGreaterThan(0);
    }
  });

  it('has an answer for nobody and for no space', () => {
    expect(fitGrid(0, DESKTOP)).toMatchObject({ columns: 1, rows: 1 });
    expect(fitGrid(4, { width: 0, height: 0 }).tile).toEqual({ width: 0, height: 0 });
  });
});
