/** Brings a data set from its raw layout into the one that its configuration and lists read. */

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { rm, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { makeFolder, writeFileAtomic } from '../../torch/atomic-write.js';
import { checkArguments } from '../../torch/check-arguments.js';
import * as is from '../../torch/rules.js';
import { isFile } from '../../torch/stat.js';
import { DataError } from '../errors.js';
import { readChannels, readHeader, readLabels } from '../image.js';
import { endsWhole } from '../scan.js';
import { fractionSize, labelOrder } from './fractions.js';
import type { DataSet, Plan, PlannedFile, PlannedScene } from './plan.js';
import { isFolder, namesIn } from './raw-folder.js';
import { DATA_SETS, type DataSetName } from './registry.js';
import { SetFolder } from './set-folder.js';

export interface PrepareOptions {
  readonly set: string;
  /** The folder as it was downloaded. Only read. */
  readonly raw: string;
  readonly out: string;
  /** Copies files that stay as they are, where they could be linked (false). */
  readonly copy?: boolean;
  /** Of the fractions, and of the validation images where the set names none (1). */
  readonly seed?: number;
  /** Scenes that are worked on at a time (4). */
  readonly parallel?: number;
  /** Says what would be made, and makes nothing (false). */
  readonly dryRun?: boolean;
  readonly onProgress?: (done: number, scenes: number) => void;
  /** Between scenes; what was made stays, and the next call goes on from there. */
  readonly signal?: AbortSignal;
}

/** What was made of a data set; plain JSON. */
export interface Prepared {
  readonly set: string;
  readonly raw: string;
  readonly out: string;
  /** The package's configuration for it. */
  readonly config: string;
  readonly scenes: { readonly train: number; readonly val: number; readonly test: number };
  /** Files that this call made, and those that were there. */
  readonly made: number;
  readonly kept: number;
  /** The lists in the folder, and how many lines each has. */
  readonly lists: Record<string, number>;
  readonly notes: readonly string[];
  /** Scenes that cannot be used, which no list has. */
  readonly problems: readonly { readonly scene: string; readonly message: string }[];
}

const MANIFEST = 'prepared.json';
/** Raised when the same raw folder gives other files. */
const VERSION = 1;

interface Manifest {
  set: string;
  version: number;
  raw: string;
  seed: number;
  complete: boolean;
  /** Of each list that was written: the hash of its text. Others are someone else's. */
  lists: Record<string, string>;
}

/**
 * Prepares a data set. Files that stay as they are get linked (copied where that cannot be), the others
 * are made, each whole or not at all; what is there already is not made again. Then all files of
 * each scene are opened and their sizes compared, and lists are written of the scenes that can be used:
 * train.txt, val.txt and test.txt, and for each fraction of the set labelled and unlabelled
 * ones by the paper's names. A list that someone else put there is left as it is.
 * @throws DataError M3L_DATA_SET_RAW, M3L_DATA_SET_FOLDER, M3L_MAT_FORMAT, M3L_HDF5_MISSING; M3lError
 *   M3L_WRITE_FAILED; the signal's reason
 */
export async function prepareDataSet(options: PrepareOptions): Promise<Prepared> {
  checkArguments(
    'prepareDataSet',
    { options },
    { options: is.shape('options', { set: is.text, raw: is.text, out: is.text }) },
  );

  const { set, seed = 1, dryRun = false } = options;
  const { raw, out } = { raw: resolve(options.raw), out: resolve(options.out) };
  if (!Object.hasOwn(DATA_SETS, set)) {
    throw new DataError(
      'M3L_DATA_SET_NAME',
      `found the data set '${set}', expected one of ${Object.keys(DATA_SETS).join(', ')}. Of other ` +
        'data, make lists: m3l data lists FOLDER',
    );
  }
  const known: DataSet = DATA_SETS[set as DataSetName];
  const before = manifestOf(out, { set, raw });
  const plan = await known.plan(raw, { out, seed });
  try {
    const manifest: Manifest = {
      ...{ set, version: VERSION, raw, seed, complete: false },
      lists: before?.lists ?? {},
    };
    if (!dryRun) {
      makeFolder(out);
      writeManifest(out, manifest);
    }
    const { usable, problems, made, kept } = dryRun
      ? { usable: plan.scenes, problems: [], made: 0, kept: 0 }
      : await makeAll(new SetFolder(out, options.copy), plan, known, options);
    const lists = listsOf(usable, known, seed);
    const notes = [...plan.notes];
    if (!dryRun) {
      notes.push(...writeLists(out, lists, manifest));
      writeManifest(out, { ...manifest, complete: problems.length === 0 });
    }
    const count = (split: string) => usable.filter((scene) => scene.split === split).length;
    return {
      ...{ set, raw, out, config: known.config },
      scenes: { train: count('train'), val: count('val'), test: count('test') },
      ...{ made, kept },
      lists: Object.fromEntries([...lists].map(([name, lines]) => [name, lines.length])),
      ...{ notes, problems },
    };
  } finally {
    plan.close?.();
  }
}

interface Outcome {
  usable: PlannedScene[];
  problems: { scene: string; message: string }[];
  made: number;
  kept: number;
}

async function makeAll(
  folder: SetFolder,
  { scenes }: Plan,
  set: DataSet,
  { parallel = 4, onProgress, signal }: PrepareOptions,
): Promise<Outcome> {
  const outcome: Outcome = { usable: [], problems: [], made: 0, kept: 0 };
  const bad = new Set<PlannedScene>();
  // Of a call that was killed.
  await folder.removeUnfinished();
  let next = 0;
  let done = 0;
  const line = async () => {
    while (next < scenes.length) {
      signal?.throwIfAborted();
      const scene = scenes[next++]!;
      try {
        for (const file of new Set(scene.files)) {
          if (await make(folder, file)) outcome.made++;
          else outcome.kept++;
        }
        await checkScene(folder.path, scene, set);
      } catch (error) {
        // What is wrong with one scene must not lose the work on all others; a full disk does.
        if (!(error instanceof DataError)) {
          next = scenes.length;
          throw error;
        }
        bad.add(scene);
        // Made anew by the next call, of raw files that are sound by then.
        for (const { path } of scene.files) await rm(join(folder.path, path), { force: true });
        outcome.problems.push({ scene: scene.files[0]!.path, message: error.message });
      }
      onProgress?.(++done, scenes.length);
    }
  };
  const ended = await Promise.allSettled(Array.from({ length: Math.max(1, parallel) }, line));
  await folder.removeUnfinished();
  for (const one of ended) if (one.status === 'rejected') throw one.reason;
  outcome.usable = scenes.filter((scene) => !bad.has(scene));
  return outcome;
}

/** Makes a file where it is not there yet. */
async function make(folder: SetFolder, { path, source }: PlannedFile): Promise<boolean> {
  if (isFile(join(folder.path, path))) return false;
  if (typeof source === 'string') await folder.place(path, source);
  else await folder.write(path, await source());
  return true;
}

/** Decodes the label, and looks at the size and the end of all images. */
async function checkScene(out: string, { files }: PlannedScene, set: DataSet): Promise<void> {
  const images = files.slice(0, -1);
  const sizes: { path: string; width: number; height: number }[] = [];
  for (const { path } of images) {
    const file = join(out, path);
    const { format, width, height } = await readHeader(file);
    const { size: bytes } = await stat(file);
    // The decoder says what is wrong; what has another end but decodes is whole.
    if (!(await endsWhole({ file, format, bytes }))) await readChannels(file);
    sizes.push({ path, width, height });
  }
  const { path } = files.at(-1)!;
  sizes.unshift({ path, ...(await readLabels(join(out, path))) });
  const [first] = sizes;
  const other = sizes.find(
    ({ width, height }) => width !== first!.width || height !== first!.height,
  );
  if (other === undefined || set.sizesDiffer) return;
  throw new DataError(
    'M3L_SIZE_MISMATCH',
    `${other.path}: found ${other.width} × ${other.height}, expected ${first!.width} × ` +
      `${first!.height} as ${first!.path} has. Copy or download the scene again.`,
  );
}

/** The lists of a set, by name: their lines. */
function listsOf(
  scenes: readonly PlannedScene[],
  set: DataSet,
  seed: number,
): Map<string, readonly string[]> {
  const line = ({ files, name }: PlannedScene, labelled = true) =>
    name ?? (labelled ? files : files.slice(0, -1)).map(({ path }) => path).join('\t');
  const of = (split: string) => scenes.filter((scene) => scene.split === split);
  const training = of('train');
  const lists = new Map<string, readonly string[]>();
  const add = (name: string, lines: readonly string[]) => {
    if (lines.length > 0) lists.set(name, lines);
  };
  add(
    'train.txt',
    training.map((scene) => line(scene)),
  );
  add(
    'val.txt',
    of('val').map((scene) => line(scene)),
  );
  add(
    'test.txt',
    of('test').map((scene) => line(scene)),
  );
  const order = labelOrder(training.length, seed);
  for (const denominator of training.length > 0 ? set.fractions : []) {
    const size = fractionSize(training.length, denominator);
    const pick = (part: readonly number[]) => part.map((index) => training[index]!);
    add(
      `train_labeled_1-${denominator}.txt`,
      pick(order.slice(0, size)).map((scene) => line(scene)),
    );
    add(
      `train_unlabeled_1-${denominator}.txt`,
      pick(order.slice(size)).map((scene) => line(scene, false)),
    );
  }
  return lists;
}

/** Writes lists, and the manifest's hashes of them; gives notes on those that are someone else's. */
function writeLists(
  out: string,
  lists: ReadonlyMap<string, readonly string[]>,
  manifest: Manifest,
): string[] {
  return [...lists].flatMap(([name, lines]) => {
    const file = join(out, name);
    const text = lines.map((line) => `${line}\n`).join('');
    const there = isFile(file) ? hash(readFileSync(file)) : null;
    if (there !== null && there !== manifest.lists[name] && there !== hash(text)) {
      return [`${name} was there, and is left as it is.`];
    }
    writeFileAtomic(file, text);
    manifest.lists[name] = hash(text);
    return [];
  });
}

function hash(text: string | Buffer): string {
  return createHash('sha256').update(text).digest('hex');
}

/**
 * What an earlier call left in the folder; null where there was none.
 * @throws DataError M3L_DATA_SET_FOLDER where the folder holds something else
 */
function manifestOf(out: string, wanted: { set: string; raw: string }): Manifest | null {
  const file = join(out, MANIFEST);
  if (!isFile(file)) {
    // Lists may be there before the images.
    const others = isFolder(out) ? namesIn(out).filter((name) => !name.endsWith('.txt')) : [];
    if (others.length === 0) return null;
    throw wrongFolder(out, others.slice(0, 3).join(', '));
  }
  let found: Partial<Manifest>;
  try {
    found = JSON.parse(readFileSync(file, 'utf8')) as Partial<Manifest>;
  } catch {
    throw wrongFolder(out, `a ${MANIFEST} that is no JSON`);
  }
  const { set, raw, version, lists } = found;
  if (set !== wanted.set) throw wrongFolder(out, `the data set ${set}`);
  if (raw !== wanted.raw) throw wrongFolder(out, `${set} of ${raw}`);
  if (version !== VERSION) throw wrongFolder(out, `${set} as another version of m3l made it`);
  return { ...(found as Manifest), lists: typeof lists === 'object' ? lists : {} };
}

function writeManifest(out: string, manifest: Manifest): void {
  writeFileAtomic(join(out, MANIFEST), `${JSON.stringify(manifest, null, 2)}\n`);
}

function wrongFolder(out: string, found: string): DataError {
  return new DataError(
    'M3L_DATA_SET_FOLDER',
    `${out}: found ${found}, expected an empty folder, or one that the same preparation began. ` +
      'Choose another folder.',
  );
}
