import { expect, it } from 'vitest';
import { chooseStage } from './stage';

const WIDE = { width: 1280, height: 700 };
const TALL = { width: 390, height: 700 };
const ada = { id: 'ada', local: true, sharing: false };
const ben = { id: 'ben', local: false, sharing: true };
const cy = { id: 'cy', local: false, sharing: true };

it('is a grid while nobody shares', () => {
  expect(chooseStage([ada], null, WIDE)).toEqual({ kind: 'grid' });
});

it('shows the share, with the strip where there is room', () => {
  expect(chooseStage([ada, ben], null, WIDE)).toEqual({
    kind: 'share',
    sharer: 'ben',
    strip: 'side',
  });
  expect(chooseStage([ada, ben], null, TALL)).toMatchObject({ strip: 'below' });
});

it('keeps showing whoever is shown, until they stop', () => {
  expect(chooseStage([ben, cy], 'cy', WIDE)).toMatchObject({ sharer: 'cy' });
  expect(chooseStage([ben, { ...cy, sharing: false }], 'cy', WIDE)).toMatchObject({
    sharer: 'ben',
  });
});

it("prefers somebody else's screen to your own", () => {
  const own = { ...ada, sharing: true };
  expect(chooseStage([own, ben], 'ada', WIDE)).toMatchObject({ sharer: 'ben' });
  expect(chooseStage([own], null, WIDE)).toMatchObject({ sharer: 'ada' });
});
