import type { ScannedSplit } from './check.js';
import type { SplitName } from './report.js';

/** What several findings need. */

export function splitNamed(
  splits: readonly ScannedSplit[],
  wanted: SplitName,
): ScannedSplit | undefined {
  return splits.find(({ name }) => name === wanted);
}

/** A raw value as messages give it: whole, or of four digits. */
export function rounded(value: number): number {
  return Number.isInteger(value) ? value : Number(value.toPrecision(4));
}
