import { type Colour, colourise, type Plane } from '../data/index.js';

/** RGB: half image, half class colour; a depth image in the greys of its range. */
export function overlayPixels(
  found: Uint8Array,
  { data, channels, offset, divisor }: Plane,
  palette: readonly Colour[],
): Uint8Array {
  const mixed = colourise(found, palette);
  for (let i = 0; i < mixed.length; i++) {
    const raw = data[channels === 3 ? i : Math.floor(i / 3)]!;
    const level = Math.min(Math.max((raw - offset) / divisor, 0), 1) * 255;
    mixed[i] = Math.round(0.5 * mixed[i]! + 0.5 * (Number.isNaN(level) ? 0 : level));
  }
  return mixed;
}
