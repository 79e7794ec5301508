import type { Reading } from './plane.js';

/** How many values are looked at. */
const SAMPLES = 4096;

/**
 * How much of [0, 1] a model sees of a picture: from the 1st to the 99th percentile of what its values
 * read as; null where nothing was measured.
 */
export function spreadOfLevels({ data, offset, divisor, bounds, invalid }: Reading): number | null {
  const [least, greatest] = bounds;
  const levels: number[] = [];
  // Odd, so that the columns of no usual width are passed over.
  const step = Math.floor(data.length / SAMPLES) | 1;
  for (let i = 0; i < data.length; i += step) {
    const value = data[i]!;
    if (value === invalid || Number.isNaN(value)) continue;
    levels.push(Math.min(Math.max((value - offset) / divisor, least), greatest));
  }
  if (levels.length === 0) return null;
  levels.sort((a, b) => a - b);
  const at = (share: number) => levels[Math.round(share * (levels.length - 1))]!;
  return at(0.99) - at(0.01);
}
