import { Random } from 'm3l/data';
import { describe, expect, it } from 'vitest';
import { drawLabelledGeometry } from '../../dist/data/class-share.js';
import { drawGeometry, type TrainingTransform } from '../../dist/data/geometry.js';

const SIDE = 96;
const CROP = 24;

/** One class, but for a square in a corner. */
function label(corner: number, rest = 0) {
  const data = new Uint8Array(SIDE * SIDE).fill(rest);
  for (let y = 0; y < SIDE / 4; y++) data.fill(corner, y * SIDE, y * SIDE + SIDE / 4);
  return { width: SIDE, height: SIDE, channels: 1 as const, data };
}

const of = (mostOneClass: number | null): TrainingTransform => ({
  kind: 'training',
  crop: [CROP, CROP],
  scales: [1],
  flip: 0,
  mostOneClass,
});

const draw = (picture: ReturnType<typeof label>, most: number | null, seed: number) =>
  drawLabelledGeometry(picture, of(most), new Random(seed));

const SEEDS = Array.from({ length: 400 }, (_, seed) => seed);
const meetsCorner = ({ left, top }: { left: number; top: number }) =>
  left < SIDE / 4 && top < SIDE / 4;

describe('drawLabelledGeometry', () => {
  it('01 draws as ever where it is not asked, or the first crop has several classes', () => {
    const many = { ...label(1), data: new Uint8Array(SIDE * SIDE).map((_, i) => i % 3) };
    for (const seed of SEEDS.slice(0, 20)) {
      const first = drawGeometry(SIDE, SIDE, of(null), new Random(seed));
      expect(draw(label(1), null, seed)).toEqual(first);
      expect(draw(many, 0.75, seed)).toEqual(first);
    }
  });

  it('02 meets a rare class more often', () => {
    const picture = label(1);
    const often = (most: number | null) =>
      SEEDS.filter((seed) => meetsCorner(draw(picture, most, seed))).length / SEEDS.length;
    // A place in (24 / 73)² holds some of it, about one in 23 enough.
    expect(often(null)).toBeLessThan(0.16);
    expect(often(0.75)).toBeGreaterThan(0.35);
  });

  it('03 draws anew at most ten times, and the same for the same seed', () => {
    const flat = label(0);
    for (const seed of SEEDS.slice(0, 20)) {
      const random = new Random(seed);
      expect(drawLabelledGeometry(flat, of(0.75), random)).toEqual(draw(flat, 0.75, seed));
      const other = new Random(seed);
      // Flip and scale, then across and down, eleven times.
      for (let k = 0; k < 2 + 2 * 11; k++) other.uint32();
      expect(random.uint32()).toBe(other.uint32());
    }
  });

  it('04 takes a crop of nothing but void for one class', () => {
    const picture = label(1, 255);
    for (const seed of SEEDS.slice(0, 20)) {
      // What is left beside void is one class as well: ten draws, and no division by zero.
      expect(Number.isInteger(draw(picture, 0.75, seed).left)).toBe(true);
    }
  });

  it('05 has nothing to draw where a crop is the whole picture', () => {
    const random = new Random(3);
    drawLabelledGeometry(label(0), { ...of(0.75), crop: [SIDE, SIDE] }, random);
    const other = new Random(3);
    for (let k = 0; k < 2; k++) other.uint32();
    expect(random.uint32()).toBe(other.uint32());
  });
});
