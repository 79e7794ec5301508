import {
  classOf,
  type FileFacts,
  IGNORE_LABEL,
  type LabelRule,
  type ModalitySpec,
  rawText,
} from '../../data/index.js';
import type { ScannedSplit } from './check.js';
import type { LabelReport, ModalityReport, SplitReport } from './report.js';

/** What a split holds, in numbers. */
export function summarise(
  split: ScannedSplit,
  specs: readonly ModalitySpec[],
  classes: readonly string[],
  rule: LabelRule,
): SplitReport {
  const { samples, scenes } = split;
  const usable = scenes.filter(({ problems }) => problems.length === 0);
  return {
    scenes: samples.length,
    usable: usable.length,
    sizes: sizesOf(split),
    labels: samples.every(({ label }) => label === null) ? null : labelsOf(split, classes, rule),
    modalities: specs.map(({ name }, m) => modalityOf(name, m, split)),
  };
}

function sizesOf({ scenes }: ScannedSplit): SplitReport['sizes'] {
  const counts = new Counts<string>();
  for (const { files } of scenes) {
    const [first] = files;
    if (first) counts.add(`${first.height} ${first.width}`);
  }
  return counts.sorted().map(([key, count]) => {
    const [height, width] = key.split(' ').map(Number) as [number, number];
    return { height, width, scenes: count };
  });
}

export function labelsOf(
  { scenes }: ScannedSplit,
  classes: readonly string[],
  rule: LabelRule,
): LabelReport {
  const stored = new Counts<number>();
  const pixels = new Counts<number>();
  const inScenes = new Counts<number>();
  for (const { label } of scenes) {
    const here = new Set<number>();
    for (const { raw, pixels: count } of label?.values ?? []) {
      const index = classOf(raw, rule);
      stored.add(raw, count);
      pixels.add(index, count);
      here.add(index);
    }
    for (const index of here) inScenes.add(index);
  }
  const colours = scenes.some(({ label }) => label?.colours);
  return {
    pixels: stored.total,
    void: pixels.of(IGNORE_LABEL),
    classes: classes.map((name, index) => {
      return { index, name, pixels: pixels.of(index), scenes: inScenes.of(index) };
    }),
    stored: stored
      .sorted()
      .sort(([a], [b]) => a - b)
      .map(([raw, count]) => ({ value: colours ? rawText(raw, true) : raw, pixels: count })),
  };
}

function modalityOf(name: string, m: number, { scenes }: ScannedSplit): ModalityReport {
  const forms = new Counts<string>();
  let [least, greatest, decoded] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0];
  for (const { files, ranges } of scenes) {
    const facts = files[m];
    if (facts) forms.add(formOf(facts));
    const range = ranges[m];
    if (!range) continue;
    least = Math.min(least, range[0]);
    greatest = Math.max(greatest, range[1]);
    decoded += 1;
  }
  return {
    name,
    stored: forms.sorted().map(([form, files]) => ({ form, files })),
    range: decoded === 0 ? null : { least, greatest, scenes: decoded },
  };
}

function formOf({ format, depth, channels }: FileFacts): string {
  return `${format}, ${depth}, ${channels} channel${channels === 1 ? '' : 's'}`;
}

class Counts<Key> {
  readonly #counts = new Map<Key, number>();
  total = 0;

  add(key: Key, count = 1): void {
    this.#counts.set(key, this.of(key) + count);
    this.total += count;
  }

  of(key: Key): number {
    return this.#counts.get(key) ?? 0;
  }

  /** The most frequent first. */
  sorted(): [Key, number][] {
    return [...this.#counts].sort(([, a], [, b]) => b - a);
  }
}
