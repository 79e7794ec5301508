import type { Config } from '../config/config.js';
import type { ScannedSplit } from './check.js';
import type { Finding } from './report.js';
import { rounded, splitNamed } from './shared.js';

/** Sides that differ by more are another kind of picture. */
const SIDES_APART = 2;
/** Levels of [0, 1] further apart than the images of one list are: of a few images chance has its part. */
const LEVELS_APART = { of: 4, many: 0.15, few: 0.4 };
/** Greatest raw values that differ by more are in other units. */
const UNITS_APART = 8;

/**
 * What tells the unlabelled images from the labelled ones as another kind: how they are stored, their
 * sizes, the levels that a model sees, and the range of raw values. Both are trained on; what is learned
 * of one may not hold for the other.
 */
export function unlikeFindings(splits: readonly ScannedSplit[], { data }: Config): Finding[] {
  const labelled = splitNamed(splits, 'labelled');
  const unlabelled = splitNamed(splits, 'unlabelled');
  if (!labelled || !unlabelled) return [];
  return Object.keys(data.modalities).flatMap((modality, m): Finding[] => {
    const [here, there] = [seenOf(labelled, m), seenOf(unlabelled, m)];
    const apart = differences(here, there, data.resize !== undefined);
    if (apart.length === 0) return [];
    return [
      {
        level: 'warning',
        code: 'M3L_CHECK_UNLIKE',
        split: 'unlabelled',
        message:
          `the images of '${modality}' are unlike those with labels: ${apart.join('; ')}. ` +
          'Are they of the same sensor and scenes? What the labels teach may not hold for them.',
        count: unlabelled.samples.length,
      },
    ];
  });
}

/** What was seen of one modality in a split. */
interface Seen {
  /** `uint8, 3 channels`, the most frequent. */
  form: string | null;
  /** [height, width], the median of each. */
  size: readonly [number, number] | null;
  /** Mean levels in [0, 1], from the darkest image to the brightest. */
  levels: readonly number[];
  greatest: number | null;
}

function seenOf({ scenes }: ScannedSplit, m: number): Seen {
  const files = scenes.flatMap((scene) => scene.files[m] ?? []);
  const forms = files.map(
    ({ depth, channels }) => `${depth}, ${channels} channel${channels === 1 ? '' : 's'}`,
  );
  const levels = scenes.flatMap((scene) => scene.levels[m] ?? []).sort(ascending);
  const ranges = scenes.flatMap((scene) => [scene.ranges[m]?.[1] ?? []].flat());
  return {
    form: mostFrequent(forms),
    size:
      files.length === 0
        ? null
        : [median(files.map(({ height }) => height)), median(files.map(({ width }) => width))],
    levels,
    greatest: ranges.length === 0 ? null : median(ranges),
  };
}

function differences(here: Seen, there: Seen, resized: boolean): string[] {
  const found: string[] = [];
  if (here.form !== null && there.form !== null && here.form !== there.form) {
    found.push(`stored as ${there.form}, not ${here.form}`);
  } else if (here.greatest !== null && there.greatest !== null) {
    const [less, more] = [here.greatest, there.greatest].sort(ascending) as [number, number];
    if (less > 0 && more / less > UNITS_APART) {
      found.push(`raw values up to some ${rounded(there.greatest)}, not ${rounded(here.greatest)}`);
    }
  }
  const [a, b] = [here.size, there.size];
  if (a && b && !resized && [0, 1].some((k) => ratio(a[k]!, b[k]!) > SIDES_APART)) {
    found.push(`${b[1]} × ${b[0]} pixels, not ${a[1]} × ${a[0]}`);
  }
  const [dark, bright] = [here.levels[0], here.levels.at(-1)];
  const [low, high] = [there.levels[0], there.levels.at(-1)];
  if (dark !== undefined && low !== undefined) {
    const gap = Math.max(low - bright!, dark - high!);
    const few = Math.min(here.levels.length, there.levels.length) < LEVELS_APART.of;
    if (gap > (few ? LEVELS_APART.few : LEVELS_APART.many)) {
      found.push(`mean levels of ${span(low, high!)} of the range, not ${span(dark, bright!)}`);
    }
  }
  return found;
}

const ascending = (a: number, b: number) => a - b;
const ratio = (a: number, b: number) => Math.max(a, b) / Math.min(a, b);
const span = (low: number, high: number) => `${low.toFixed(2)} to ${high.toFixed(2)}`;

function median(values: readonly number[]): number {
  return [...values].sort(ascending)[Math.floor(values.length / 2)]!;
}

function mostFrequent(values: readonly string[]): string | null {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].sort(([, a], [, b]) => b - a)[0]?.[0] ?? null;
}
