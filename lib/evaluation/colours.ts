import { POTHOLE_CLASSES, palette, STANFORD_CLASSES } from '../data/index.js';

export type Colour = readonly [red: number, green: number, blue: number];

/** Viridis at 0, 1/8, …, 1: perceptually even, and readable without colour vision. */
const VIRIDIS: readonly Colour[] = [
  [68, 1, 84],
  [71, 45, 123],
  [59, 82, 139],
  [44, 114, 142],
  [33, 145, 140],
  [40, 174, 128],
  [94, 201, 98],
  [173, 220, 48],
  [253, 231, 37],
];

/** Void pixels. */
export const VOID_COLOUR: Colour = [0, 0, 0];

/** The colours of a known data set where the classes are its, else spread hues. */
export function classColours(classes: readonly string[]): Colour[] {
  const known = [STANFORD_CLASSES, POTHOLE_CLASSES].find(
    ({ names }) => names.join() === classes.join(),
  );
  return palette(classes.length, known);
}

/** Viridis at `value` in [0, 1]; outside is clamped. */
export function viridis(value: number): Colour {
  const position = Math.min(Math.max(value, 0), 1) * (VIRIDIS.length - 1);
  const index = Math.min(Math.floor(position), VIRIDIS.length - 2);
  const [low, high] = [VIRIDIS[index]!, VIRIDIS[index + 1]!];
  const share = position - index;
  return low.map((from, i) => Math.round(from + (high[i]! - from) * share)) as unknown as Colour;
}
