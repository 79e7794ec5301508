import { createHash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readFileSync, readSync, realpathSync } from 'node:fs';
import type { ScannedSplit } from './check.js';
import type { Finding, SplitName } from './report.js';

interface Place {
  split: SplitName;
  name: string;
  file: string;
}

const EVALUATED: readonly SplitName[] = ['val', 'test'];
const isEvaluated = (split: SplitName) => EVALUATED.includes(split);

/**
 * Scenes that stand in an evaluation list and in a training list, and scenes that a list holds twice:
 * told by the first modality's file, or by its content where the size is the same.
 */
export function duplicateFindings(splits: readonly ScannedSplit[]): Finding[] {
  const bySize = new Map<number, Place[]>();
  for (const { name: split, samples, scenes } of splits) {
    for (const [index, { files }] of scenes.entries()) {
      const facts = files[0];
      if (!facts) continue;
      const { name, files: paths } = samples[index]!;
      const places = bySize.get(facts.bytes) ?? [];
      places.push({ split, name, file: paths[0]! });
      bySize.set(facts.bytes, places);
    }
  }
  // Told by itself.
  const allOne = splits.find((split) => split.name === 'unlabelled' && areAllTheSame(split))?.name;
  const shared = EVALUATED.map((split) => [split, [] as [Place, Place][]] as const);
  const twice: [Place, Place][] = [];
  for (const places of bySize.values()) {
    if (places.length < 2) continue;
    for (const same of byContent(places)) {
      const inTraining = same.find(({ split }) => !isEvaluated(split));
      for (const [split, pairs] of shared) {
        const evaluated = same.find((place) => place.split === split);
        if (evaluated && inTraining) pairs.push([evaluated, inTraining]);
      }
      for (const split of new Set(same.map((place) => place.split))) {
        if (split === allOne) continue;
        const [first, second] = same.filter((place) => place.split === split);
        if (first && second) twice.push([first, second]);
      }
    }
  }
  return [
    ...shared.flatMap(([split, pairs]) =>
      found(pairs, 'M3L_CHECK_SHARED', ([a, b], count) => {
        const scenes = count === 1 ? '1 scene' : `${count} scenes`;
        const list = split === 'val' ? 'evaluation list' : 'test list';
        return (
          `${scenes} of the ${list} ${count === 1 ? 'is' : 'are'} trained on too (${a.name} is ${b.name} of ` +
          `'${b.split}'): what the evaluation says is then too good. Take ${count === 1 ? 'it' : 'them'} out of one of the lists.`
        );
      }),
    ),
    ...found(twice, 'M3L_CHECK_TWICE', ([a, b], count) => {
      const scenes = count === 1 ? '1 scene stands' : `${count} scenes stand`;
      return `${scenes} twice in the list '${a.split}' (${a.name} is ${b.name}). Take one of the two out.`;
    }),
  ];
}

function found(
  pairs: readonly [Place, Place][],
  code: string,
  message: (first: [Place, Place], count: number) => string,
): Finding[] {
  const [first] = pairs;
  if (first === undefined) return [];
  const { length: count } = pairs;
  return [{ level: 'warning', code, split: first[0].split, message: message(first, count), count }];
}

/** Whether all scenes of a split are one: told by the first modality's files. */
export function areAllTheSame({ name: split, samples, scenes }: ScannedSplit): boolean {
  const [first] = scenes;
  const size = first?.files[0]?.bytes;
  if (size === undefined || scenes.some(({ files }) => files[0]?.bytes !== size)) return false;
  const places = samples.map(({ name, files }) => ({ split, name, file: files[0]! }));
  return byContent(places)[0]?.length === samples.length;
}

/** Groups of places of files of one size that hold the same bytes; a place alone is none. */
function byContent(places: readonly Place[]): Place[][] {
  // Uncompressed files all have one size: their ends tell nearly all of them apart.
  return groups(places, ends).flatMap((alike) => groups(alike, whole));
}

function groups(places: readonly Place[], hash: (path: string) => string): Place[][] {
  const known = new Map<string, string>();
  const found = new Map<string, Place[]>();
  for (const place of places) {
    const path = realpathSync(place.file);
    const key = known.get(path) ?? hash(path);
    known.set(path, key);
    found.set(key, [...(found.get(key) ?? []), place]);
  }
  return [...found.values()].filter((group) => group.length > 1);
}

const whole = (path: string) => createHash('sha1').update(readFileSync(path)).digest('hex');

/** Hash of the first and the last 4 KiB. */
function ends(path: string): string {
  const file = openSync(path, 'r');
  try {
    const { size } = fstatSync(file);
    const part = Buffer.alloc(4096);
    const hash = createHash('sha1');
    for (const at of [0, Math.max(0, size - part.length)]) {
      hash.update(part.subarray(0, readSync(file, part, 0, part.length, at)));
    }
    return hash.digest('hex');
  } finally {
    closeSync(file);
  }
}
