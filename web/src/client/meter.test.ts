import { expect, it } from 'vitest';
import { loudness } from './meter';

const tone = (amplitude: number) =>
  Float32Array.from({ length: 512 }, (_, i) => amplitude * Math.sin(i / 4));

it('silence is 0, full scale is nearly 1, and speech stands between', () => {
  expect(loudness(new Float32Array(512))).toBe(0);
  expect(loudness(tone(1))).toBeGreaterThan(0.93);
  expect(loudness(tone(0.03))).toBeGreaterThan(0.3);
  expect(loudness(tone(0.03))).toBeLessThan(0.7);
});
