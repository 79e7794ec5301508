/** Labelled and unlabelled halves of a list, for nested fractions of its labels. */

import { basename, dirname, extname, join, resolve } from 'node:path';
import { makeFolder, writeFileAtomic } from '../../torch/atomic-write.js';
import { checkArguments } from '../../torch/check-arguments.js';
import * as is from '../../torch/rules.js';
import { isFile } from '../../torch/stat.js';
import { DataError } from '../errors.js';
import { describeLabels, readRawLabels } from '../labels.js';
import { underRoot } from '../list.js';
import { isHeader, type Row, readLines, splitRows } from '../list-text.js';
import { fractionSize, labelOrder } from './fractions.js';
import { requireReplaceable } from './write-lists.js';

export interface SplitListOptions {
  /** A list of labelled samples, paths or bare names. */
  readonly list: string;
  /** 16 for one label in 16. */
  readonly fractions: readonly number[];
  readonly seed?: number;
  /** Where the lists go. Default: the list's folder. */
  readonly out?: string;
  /**
   * Stratifies by the classes that each label holds (every stored value but `void`): at each fraction
   * every class is met in about the same share of the samples that hold it.
   */
  readonly stratify?: boolean;
  /** The folder that the list's paths are relative to. Default: the list's. */
  readonly root?: string;
  /** Of a list of bare names: the label's pattern, `label/{name}.png`. */
  readonly label?: string;
  /** Stored values that are no class (255). */
  readonly void?: readonly number[];
  /** Replaces lists that are there (false). */
  readonly force?: boolean;
  readonly dryRun?: boolean;
  readonly onProgress?: (done: number, samples: number) => void;
}

/** What was drawn of a list; plain JSON. */
export interface SplitList {
  readonly samples: number;
  readonly fractions: readonly {
    readonly denominator: number;
    readonly labelled: { readonly file: string; readonly samples: number };
    readonly unlabelled: { readonly file: string; readonly samples: number };
    /** With `stratify`: how many of the labelled samples hold each class, by its stored value. */
    readonly classes: Readonly<Record<string, number>> | null;
  }[];
}

/**
 * Writes, for each fraction, `NAME_labeled_1-16.txt` and `NAME_unlabeled_1-16.txt` of a list NAME.txt
 * (or NAME_labelled.txt), as the paper calls them: the same lines, the latter without their labels. Every fraction's labelled
 * samples are among those of the greater ones; sizes are rounded down, as in the paper.
 * @throws DataError M3L_LIST_MISSING, M3L_LIST_TEXT, M3L_LIST_EMPTY, M3L_LIST_THERE, M3L_DATA_OPTIONS,
 *   and of labels as `readRawLabels`
 */
export async function splitList(options: SplitListOptions): Promise<SplitList> {
  checkArguments(
    'splitList',
    { options },
    { options: is.shape('options', { list: is.text, fractions: is.listOf(is.finite) }) },
  );

  const { list, fractions, seed = 1, stratify = false } = options;
  const wrong = fractions.find((one) => !(Number.isInteger(one) && one >= 1));
  if (wrong !== undefined || fractions.length === 0) {
    throw invalid(`fractions: found [${fractions.join(', ')}], expected whole numbers from 1`);
  }
  const out = resolve(options.out ?? dirname(list));
  const stem = basename(list, extname(list)).replace(/_labell?ed$/, '');
  const rows = samplesOf(options);
  const present = stratify ? await classesOf(rows, options) : undefined;
  const order = labelOrder(rows.length, seed, present);
  const texts = new Map<string, string>();
  const put = (kind: string, denominator: number, own: readonly string[]) => {
    const file = join(out, `${stem}_${kind}_1-${denominator}.txt`);
    texts.set(file, own.map((each) => `${each}\n`).join(''));
    return { file, samples: own.length };
  };
  const made = fractions.map((denominator) => {
    const size = fractionSize(rows.length, denominator);
    const chosen = order.slice(0, size);
    const rest = order.slice(size);
    const text = (cells: readonly string[]) => cells.join('\t');
    // A bare name stands for the image too.
    const unlabelled = (cells: readonly string[]) =>
      text(cells.length > 1 ? cells.slice(0, -1) : cells);
    return {
      denominator,
      labelled: put(
        'labeled',
        denominator,
        chosen.map((index) => text(rows[index]!.cells)),
      ),
      unlabelled: put(
        'unlabeled',
        denominator,
        rest.map((index) => unlabelled(rows[index]!.cells)),
      ),
      classes: present === undefined ? null : counted(chosen.map((index) => present[index]!)),
    };
  });
  if (!options.dryRun) write(out, texts, options.force ?? false);
  return { samples: rows.length, fractions: made };
}

/** The rows of a list that are samples: no header, no remarks. */
function samplesOf({ list, root = dirname(list) }: SplitListOptions): Row[] {
  const lines = readLines(list).filter(({ content }) => !content.startsWith('#'));
  const rows = splitRows(lines, [2, 3, 4, 5]);
  const [first] = rows;
  const header = first && isHeader(first.cells, []) && !isFile(underRoot(root, first.cells[0]!));
  const samples = header ? rows.slice(1) : rows;
  if (samples.length > 0) return samples;
  throw new DataError('M3L_LIST_EMPTY', `${list}: found no sample, expected one a line.`);
}

async function classesOf(
  rows: readonly { cells: readonly string[] }[],
  { list, root = dirname(list), label, void: voids = [255], onProgress }: SplitListOptions,
): Promise<Set<number>[]> {
  if (label !== undefined && !label.includes('{name}')) {
    throw invalid(`label: found '${label}', expected '{name}' in it, e.g. 'label/{name}.png'`);
  }
  const classes: Set<number>[] = [];
  for (const { cells } of rows) {
    if (cells.length < 2 && label === undefined) {
      throw invalid(
        `${list}: found bare names, expected a column of labels, or the label's pattern: --label 'label/{name}.png'`,
      );
    }
    const path = label?.replaceAll('{name}', () => cells[0]!) ?? cells.at(-1)!;
    const values = describeLabels(await readRawLabels(underRoot(root, path), { colours: false }));
    classes.push(new Set(values.map(({ raw }) => raw).filter((raw) => !voids.includes(raw))));
    onProgress?.(classes.length, rows.length);
  }
  return classes;
}

function counted(present: readonly ReadonlySet<number>[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const classes of present) {
    for (const one of classes) counts[one] = (counts[one] ?? 0) + 1;
  }
  return counts;
}

function write(out: string, texts: ReadonlyMap<string, string>, force: boolean): void {
  requireReplaceable(texts, force);
  makeFolder(out);
  for (const [file, text] of texts) if (text !== '') writeFileAtomic(file, text);
}

function invalid(message: string): DataError {
  return new DataError('M3L_DATA_OPTIONS', `${message}.`);
}
