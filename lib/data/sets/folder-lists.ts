/** Lists of a folder of folders: one for each modality, one for labels, files paired by their names. */

import { isAbsolute, join, relative, resolve } from 'node:path';
import { makeFolder, writeFileAtomic } from '../../torch/atomic-write.js';
import { checkArguments } from '../../torch/check-arguments.js';
import * as is from '../../torch/rules.js';
import { DataError } from '../errors.js';
import type { KindName } from '../kinds/registry.js';
import { Random, Stream } from '../random.js';
import { kindOfFile, type LabelGuess, labelsOfFiles } from './guess.js';
import { describeFile, type FoundFile, type Group, pair } from './pairing.js';
import { filesBelow, isFolder, whatIsIn } from './raw-folder.js';
import { requireReplaceable } from './write-lists.js';

/** What `writeFolderLists` takes by name. */
export interface FolderListsOptions {
  readonly folder: string;
  /** Where lists and `data.yaml` go. Default: the folder itself. */
  readonly out?: string;
  /** The folder of each modality, in their order. Absent: all that hold images, but the labels'. */
  readonly modalities?: Readonly<Record<string, string>>;
  /** The folder of labels. Absent: the one that is called so. */
  readonly label?: string;
  /** The share of labelled scenes to validate on, where no folder says which (0.2). */
  readonly val?: number;
  /** And to test on (0). */
  readonly test?: number;
  /** Takes these from the end, not by chance: for neighbouring frames of a video, which look alike. */
  readonly contiguous?: boolean;
  readonly seed?: number;
  /** Replaces lists that are there (false). */
  readonly force?: boolean;
  readonly dryRun?: boolean;
}

/** What was listed of a folder; plain JSON. */
export interface FolderLists {
  readonly folder: string;
  readonly modalities: readonly { name: string; folder: string; kind: KindName }[];
  readonly label: string | null;
  readonly labels: LabelGuess | null;
  /** Lines of each list. */
  readonly lists: Readonly<Record<string, number>>;
  /** The data file that was written. */
  readonly config: string;
  /** Scenes that lack a modality, and are in no list. */
  readonly alone: readonly { readonly name: string; readonly lacks: readonly string[] }[];
}

const LABEL =
  /^(labels?|masks?|annotations?|gt|ground_?truth|semantics?|seg|segmentations?|targets?)([_-]?\d+)?$/i;
const RGB = /^(rgb|images?|img|colou?rs?|photos?|visible|vis|left)$/i;
const DEPTH = /^(depths?|disp(arity)?)([_-]?\d+)?$/i;

/**
 * Writes `train_labelled.txt`, `train_unlabelled.txt` (scenes without a label), `val.txt` and `test.txt`
 * of a folder, and `data.yaml`, a configuration of them. Folders called train, val and test, above or
 * below those of the modalities, say what scenes are for; else shares are drawn.
 * @throws DataError M3L_DATA_FOLDER, M3L_LIST_THERE; M3lError M3L_WRITE_FAILED
 */
export async function writeFolderLists(options: FolderListsOptions): Promise<FolderLists> {
  checkArguments(
    'writeFolderLists',
    { options },
    { options: is.shape('options', { folder: is.text }) },
  );

  const folder = resolve(options.folder);
  const out = resolve(options.out ?? folder);
  if (!isFolder(folder)) throw unusable(folder, 'no folder', 'one');
  const { files, modalities, label } = findParts(folder, options);
  const parts = [...Object.values(modalities), ...(label === null ? [] : [label])];
  const groups = pair(files, parts);
  const sensors = Object.entries(modalities);
  const lacks = (group: Group) =>
    sensors.filter(([, part]) => !group.files.has(part)).map(([name]) => name);
  const scenes = groups.filter((group) => lacks(group).length === 0);
  if (scenes.length === 0) {
    throw unusable(
      folder,
      `no scene in all of ${Object.values(modalities).join(', ')}`,
      'files of one name in each of them',
    );
  }
  const lists = listsOf(scenes, Object.values(modalities), label, options);
  const kinds = await Promise.all(
    sensors.map(async ([name, part]) => ({
      ...{ name, folder: part },
      kind: await kindOfFile(join(folder, scenes[0]!.files.get(part)!), DEPTH.test(part)),
    })),
  );
  const labelled = label === null ? [] : scenes.flatMap(({ files: own }) => own.get(label) ?? []);
  const labels = await labelsOfFiles(labelled.map((file) => join(folder, file)));
  const config = join(out, 'data.yaml');
  if (!options.dryRun) {
    const texts = new Map([...lists].map(([name, lines]) => [name, `${lines.join('\n')}\n`]));
    texts.set('data.yaml', dataFile(folder, out, kinds, labels, [...lists.keys()]));
    write(out, texts, options.force ?? false);
  }
  return {
    ...{ folder, modalities: kinds, label, labels, config },
    lists: Object.fromEntries([...lists].map(([name, lines]) => [name, lines.length])),
    alone: groups
      .filter((group) => lacks(group).length > 0)
      .map((group) => ({ name: [...group.files.values()][0]!, lacks: lacks(group) })),
  };
}

interface Parts {
  files: FoundFile[];
  modalities: Record<string, string>;
  label: string | null;
}

function findParts(folder: string, { modalities: given, label }: FolderListsOptions): Parts {
  const named = given && [...Object.values(given), ...(label === undefined ? [] : [label])];
  const paths = filesBelow(folder);
  const describe = (parts: readonly string[] | null) =>
    paths.flatMap((path) => describeFile(path, parts) ?? []);
  let files = describe(named ?? null);
  const found = [...new Set(files.map(({ part }) => part))].sort();
  const missing = named?.find((part) => !found.includes(part));
  if (missing !== undefined) throw unusable(folder, `no images in ${missing}`, 'some');
  const labelPart =
    label ?? (given ? findLabel(folder, foldersOf(describe(null))) : findLabel(folder, found));
  if (label !== undefined && !found.includes(label))
    throw unusable(folder, `no images in ${label}`, 'some');
  const sensors = given ?? namesOf(found.filter((part) => part !== labelPart));
  if (Object.keys(sensors).length === 0) {
    throw unusable(
      folder,
      whatIsIn(folder),
      'a folder of images for each modality (rgb, depth, …)',
    );
  }
  if (given && label === undefined && labelPart !== null) {
    files = describe([...named!, labelPart]);
  }
  return { files, modalities: sensors, label: labelPart };
}

function foldersOf(files: readonly FoundFile[]): string[] {
  return [...new Set(files.map(({ part }) => part))].sort();
}

function findLabel(folder: string, parts: readonly string[]): string | null {
  const labels = parts.filter((part) => LABEL.test(part));
  if (labels.length <= 1) return labels[0] ?? null;
  throw unusable(folder, `${labels.join(' and ')}`, 'one folder of labels: name it with --label');
}

/** Modalities by the names of their folders; RGB and depth first, under these names. */
function namesOf(parts: readonly string[]): Record<string, string> {
  const rgb = parts.filter((part) => RGB.test(part));
  const depth = parts.filter((part) => DEPTH.test(part));
  const known = [
    ...(rgb.length === 1 ? [['rgb', rgb[0]!] as const] : []),
    ...(depth.length === 1 ? [['depth', depth[0]!] as const] : []),
  ];
  const taken = new Set(known.map(([, part]) => part));
  const others = parts.filter((part) => !taken.has(part)).map((part) => [part, part] as const);
  return Object.fromEntries([...known, ...others]);
}

function listsOf(
  scenes: readonly Group[],
  parts: readonly string[],
  label: string | null,
  { val = 0.2, test = 0, contiguous = false, seed = 1 }: FolderListsOptions,
): Map<string, string[]> {
  const line = ({ files }: Group, columns: readonly string[]) =>
    columns.map((part) => files.get(part)!).join('\t');
  const labelled = label === null ? [] : scenes.filter(({ files }) => files.has(label));
  const without = scenes.filter(({ files, split }) => !files.has(label ?? '') && split !== 'test');
  const fixed = (name: string) => labelled.filter(({ split }) => split === name);
  const open = labelled.filter(({ split }) => split === null || split === 'train');
  const order = contiguous ? [...open] : new Random(Stream.order, seed).shuffle([...open]);
  const taken = new Set<Group>();
  const draw = (name: string, share: number): Group[] => {
    const own = fixed(name);
    if (own.length > 0 || share === 0) return own;
    // Somebody is left to train on.
    const most = Math.max(0, order.length - taken.size - 1);
    const count = Math.min(most, Math.max(1, Math.round(share * open.length)));
    const end = order.length - taken.size;
    const drawn = new Set(order.slice(end - count, end));
    for (const scene of drawn) taken.add(scene);
    return open.filter((scene) => drawn.has(scene));
  };
  const [tested, validated] = [draw('test', test), draw('val', val)];
  const columns = label === null ? parts : [...parts, label];
  const lists = new Map<string, string[]>();
  const add = (name: string, groups: readonly Group[], own: readonly string[]) => {
    if (groups.length > 0) {
      lists.set(
        name,
        groups.map((group) => line(group, own)),
      );
    }
  };
  add(
    'train_labelled.txt',
    open.filter((scene) => !taken.has(scene)),
    columns,
  );
  add('train_unlabelled.txt', without, parts);
  add('val.txt', validated, columns);
  add('test.txt', tested, columns);
  return lists;
}

function dataFile(
  folder: string,
  out: string,
  modalities: FolderLists['modalities'],
  labels: LabelGuess | null,
  lists: readonly string[],
): string {
  // Together they can be moved; apart, each is where it is.
  const down = relative(folder, out);
  const within = !down.startsWith('..') && !isAbsolute(down);
  const own = (name: string) =>
    JSON.stringify(within ? relative(folder, join(out, name)) : join(out, name));
  const [labelled, unlabelled] = ['train_labelled.txt', 'train_unlabelled.txt'];
  const keys = [
    ['labelled', labelled],
    // Where every scene has a label, the same ones are trained on without theirs.
    ['unlabelled', lists.includes(unlabelled!) ? unlabelled : labelled],
    ['val', 'val.txt'],
  ].filter(([, name]) => lists.includes(name!));
  return [
    '# Made by m3l data lists. What it guessed is yours to mend: kinds, classes, what values mean.',
    'data:',
    `  root: ${JSON.stringify(within ? relative(out, folder) || '.' : folder)}`,
    `  lists: { ${keys.map(([key, name]) => `${key}: ${own(name!)}`).join(', ')} }`,
    '  modalities:',
    ...modalities.map(({ name, kind }) =>
      kind === 'depth'
        ? `    ${JSON.stringify(name)}: { kind: depth, invalid: 0 } # 0: nothing measured`
        : `    ${JSON.stringify(name)}: ${kind}`,
    ),
    ...(labels === null
      ? ['  classes: 2 # no labels were found']
      : [
          `  classes: ${labels.classes} # or their names, in a list`,
          ...(labels.offset > 0 ? [`  labelOffset: ${labels.offset}`] : []),
          ...(labels.map === null ? [] : [`  labels: { map: ${labels.map} }`]),
        ]),
    '',
  ].join('\n');
}

function write(out: string, texts: ReadonlyMap<string, string>, force: boolean): void {
  const files = new Map([...texts].map(([name, text]) => [join(out, name), text]));
  requireReplaceable(files, force);
  makeFolder(out);
  for (const [file, text] of files) writeFileAtomic(file, text);
}

function unusable(folder: string, found: string, expected: string): DataError {
  return new DataError(
    'M3L_DATA_FOLDER',
    `${folder}: found ${found}, expected ${expected}. Name the folders where their names do not say ` +
      'what they are: --modality rgb=FOLDER depth=FOLDER --label FOLDER',
  );
}
