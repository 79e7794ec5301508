/** The colours of pictures: those of classes, of void pixels, and of depth. */

import { checkArguments } from '../torch/check-arguments.js';
import * as is from '../torch/rules.js';
import { POTHOLE_CLASSES, STANFORD_CLASSES } from './classes.js';

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
  checkArguments('classColours', { classes }, { classes: is.listOf(is.text) });

  const known = [STANFORD_CLASSES, POTHOLE_CLASSES].find(
    ({ names }) => names.join() === classes.join(),
  );
  return known ? [...known.colours] : classes.map((_, k) => spreadColour(k));
}

/** Viridis at `value` in [0, 1]; outside is clamped. */
export function viridis(value: number): Colour {
  const position = Math.min(Math.max(value, 0), 1) * (VIRIDIS.length - 1);
  const index = Math.min(Math.floor(position), VIRIDIS.length - 2);
  const [low, high] = [VIRIDIS[index]!, VIRIDIS[index + 1]!];
  const share = position - index;
  return low.map((from, i) => Math.round(from + (high[i]! - from) * share)) as unknown as Colour;
}

/** Hues spread by the golden ratio, with alternating brightness. */
function spreadColour(k: number): Colour {
  const hue = (k * 0.618033988749895) % 1;
  const value = [0.95, 0.7, 0.5][k % 3]!;
  const channel = (offset: number) => {
    const distance = Math.abs(((((hue + offset) % 1) + 1) % 1) - 0.5) * 6 - 1;
    return Math.round(255 * value * (0.35 + 0.65 * Math.min(1, Math.max(0, distance))));
  };
  return [channel(0), channel(2 / 3), channel(1 / 3)];
}

/** Paints labels in their colours; void and unknown values are black. Returns RGB, 3 bytes a pixel. */
export function colourise(labels: Uint8Array, colours: readonly Colour[]): Uint8Array {
  checkArguments(
    'colourise',
    { labels, colours },
    { labels: is.numbers, colours: is.listOf(is.list) },
  );

  const out = new Uint8Array(labels.length * 3);
  for (let i = 0; i < labels.length; i++) {
    const colour = colours[labels[i]!];
    if (colour) out.set(colour, i * 3);
  }
  return out;
}
