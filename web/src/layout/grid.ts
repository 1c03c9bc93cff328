// How many columns and rows a grid of tiles gets: the pair that makes the tiles largest. Pure.

export interface Size {
  readonly width: number;
  readonly height: number;
}

export interface Grid {
  readonly columns: number;
  readonly rows: number;
  readonly tile: Size;
}

export const TILES_PER_PAGE = 25;
const GAP = 8;

/** Shapes that suit a face; outside of them too much of a picture is cut off. Upright ones only where
 *  the space is upright, too: cameras of computers are wide. */
const WIDEST = 16 / 9;
const TALLEST = { wide: 5 / 4, upright: 3 / 4 };

export function fitGrid(count: number, space: Size, gap: number = GAP): Grid {
  const tallest = space.width > space.height ? TALLEST.wide : TALLEST.upright;
  let best: Grid = { columns: 1, rows: Math.max(1, count), tile: { width: 0, height: 0 } };
  for (let columns = 1; columns <= Math.max(1, count); columns += 1) {
    const rows = Math.max(1, Math.ceil(count / columns));
    const cell = {
      width: (space.width - gap * (columns - 1)) / columns,
      height: (space.height - gap * (rows - 1)) / rows,
    };
    const tile = fitTile(cell, tallest);
    if (area(tile) > area(best.tile)) best = { columns, rows, tile };
  }
  return best;
}

/** The largest rectangle of a pleasant shape inside a cell. */
function fitTile(cell: Size, tallest: number): Size {
  const width = Math.max(0, Math.min(cell.width, cell.height * WIDEST));
  const height = Math.max(0, Math.min(cell.height, width / tallest));
  return { width: Math.floor(width), height: Math.floor(height) };
}

function area(size: Size): number {
  return size.width * size.height;
}
