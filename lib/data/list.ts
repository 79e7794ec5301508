/** List files: one sample a line, a column for each modality and, for labelled samples, one for the label. */

import { existsSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { checkArguments } from '../torch/check-arguments.js';
import * as is from '../torch/rules.js';
import { statIfThere } from '../torch/stat.js';
import { DataError } from './errors.js';
import { isHeader, type Row, readLines, splitRows } from './list-text.js';
import { listOptionsShape, sampleShape } from './rules.js';

/** The files of one sample. */
export interface Sample {
  /** The first column as it stands in the list: what messages and results call the sample. */
  readonly name: string;
  /** One path a modality, in the order of the modalities. */
  readonly files: readonly string[];
  readonly label: string | null;
}

/** How a list of scenes is read. */
export interface ListOptions {
  /** Folder that the list's paths are relative to (see `underRoot`), or one for each column. */
  readonly root: string | readonly string[];
  /** Number of modalities. Default 2. */
  readonly modalities?: number;
  /** Whether lines must end in a label column. Default: as the first line has it. */
  readonly labelled?: boolean;
  /** What a header line may call the columns, besides the usual words. */
  readonly names?: readonly string[];
}

/**
 * The path that a list means: relative to `root`, a leading slash or not, as the paper's lists have it.
 * An absolute path that is there, and is not under the root, is taken as it is. A list is its reader's
 * own: `..` and links may lead out of the root.
 */
export function underRoot(root: string, path: string): string {
  checkArguments('underRoot', { root, path }, { root: is.text, path: is.text });

  const joined = join(root, path);
  return isAbsolute(path) && existsSync(path) && !existsSync(joined) ? path : joined;
}

/**
 * Reads a list such as the paper's: `rgb⇥depth⇥label`, unlabelled `rgb⇥depth`; where there is no tab,
 * commas or semicolons separate. Blank lines are skipped, and a first line of column names and lines
 * that begin with # unless there are files of such names. UTF-8 or UTF-16, any line ends.
 * @throws DataError M3L_LIST_MISSING, M3L_LIST_TEXT, M3L_LIST_EMPTY, M3L_LIST_COLUMNS (names file and
 *   line)
 */
export function readList(file: string, options: ListOptions): Sample[] {
  checkArguments('readList', { file, options }, { file: is.text, options: listOptionsShape });

  const { modalities = 2, names = [] } = options;
  const root = (column: number) => rootOf(options.root, column);
  const counts =
    options.labelled === undefined
      ? [modalities + 1, modalities]
      : [modalities + (options.labelled ? 1 : 0)];
  const rows = withoutRemarks(file, splitRows(readLines(file), counts), names, (path) =>
    isFile(underRoot(root(0), path)),
  );
  const labelled = options.labelled ?? rows[0]!.cells.length === modalities + 1;
  const expected = modalities + (labelled ? 1 : 0);
  return rows.map(({ cells: columns, line }) => {
    if (columns.length !== expected || columns.includes('')) {
      throw wrongColumns(`${file}:${line}`, columns, modalities, labelled);
    }
    const paths = columns.map((column, k) => underRoot(root(k), column));
    return {
      name: columns[0]!,
      files: paths.slice(0, modalities),
      label: labelled ? paths[modalities]! : null,
    };
  });
}

/**
 * Reads a list of bare names, one a line, that stand for the same file in several folders.
 * `files` has one pattern a modality with `{name}` in it, relative to `root` as `underRoot` has it, e.g.
 * `rgb/{name}`; `label` is the label's pattern, null for unlabelled samples.
 * @throws DataError M3L_LIST_MISSING, M3L_LIST_TEXT, M3L_LIST_EMPTY, M3L_LIST_COLUMNS, M3L_DATA_OPTIONS
 */
export function readNames(
  file: string,
  options: { root: string; files: readonly string[]; label: string | null },
): Sample[] {
  checkArguments(
    'readNames',
    { file, options },
    {
      file: is.text,
      options: is.shape('options', {
        root: is.text,
        files: is.listOf(is.text),
        label: is.orNull(is.text),
      }),
    },
  );
  const { root, files, label } = options;

  for (const pattern of label === null ? files : [...files, label]) {
    if (pattern.includes('{name}')) continue;
    throw new DataError(
      'M3L_DATA_OPTIONS',
      `the pattern '${pattern}' names one file for all samples, expected '{name}' in it, e.g. 'rgb/{name}'.`,
    );
  }
  // A function: in a text, $& and the like would stand for parts of the pattern.
  const fill = (pattern: string, name: string) =>
    underRoot(
      root,
      pattern.replaceAll('{name}', () => name),
    );
  const rows = withoutRemarks(file, splitRows(readLines(file), [1]), [], (name) =>
    isFile(fill(files[0] ?? label!, name)),
  );
  return rows.map(({ cells, line }) => {
    if (cells.length !== 1) {
      throw new DataError(
        'M3L_LIST_COLUMNS',
        `${file}:${line}: found ${cells.length} columns, expected one name. ` +
          'Leave the file patterns out for a list that gives the paths itself.',
      );
    }
    const name = cells[0]!;
    return {
      name,
      files: files.map((pattern) => fill(pattern, name)),
      label: label === null ? null : fill(label, name),
    };
  });
}

/** The same samples without their labels, to train on as unlabelled ones. */
export function withoutLabels(samples: readonly Sample[]): Sample[] {
  checkArguments('withoutLabels', { samples }, { samples: is.listOf(sampleShape) });

  return samples.map((sample) => ({ ...sample, label: null }));
}

function isFile(path: string): boolean {
  try {
    return statIfThere(path)?.isFile() ?? false;
  } catch {
    // What is too long for a name, or leads through a file or a circle of links, is there as little.
    return false;
  }
}

/** The rows that are samples: no header, no comments. */
function withoutRemarks(
  file: string,
  rows: readonly Row[],
  names: readonly string[],
  exists: (path: string) => boolean,
): Row[] {
  const isRemark = ({ cells }: Row) => cells[0]!.startsWith('#') && !exists(cells[0]!);
  const lines = rows.filter((row) => !isRemark(row));
  const [first] = lines;
  const header = first && isHeader(first.cells, names) && !exists(first.cells[0]!);
  const samples = header ? lines.slice(1) : lines;
  if (samples.length > 0) return samples;
  throw new DataError('M3L_LIST_EMPTY', `${file}: found no sample, expected one a line.`);
}

function rootOf(root: string | readonly string[], column: number): string {
  if (typeof root === 'string') return root;
  const folder = root[column];
  if (folder !== undefined) return folder;
  throw new DataError(
    'M3L_DATA_OPTIONS',
    `found ${root.length} root folders, expected one for each column (column ${column + 1} has none).`,
  );
}

function wrongColumns(
  place: string,
  columns: readonly string[],
  modalities: number,
  labelled: boolean,
): DataError {
  const spaces = columns.length === 1 && /\S\s+\S/.test(columns[0]!);
  const wanted = labelled ? `${modalities} images and a label` : `${modalities} images, no label`;
  const found = columns.includes('')
    ? 'an empty column'
    : columns.length === 1
      ? '1 column'
      : `${columns.length} columns`;
  const mend = spaces
    ? 'Spaces do not separate columns: use tabs.'
    : columns.length === 1
      ? "Mend the line, or say what a bare name stands for with data.files ('rgb/{name}.png' for each)."
      : 'Mend the line.';
  return new DataError(
    'M3L_LIST_COLUMNS',
    `${place}: found ${found}, expected ${modalities + (labelled ? 1 : 0)} (${wanted}), ` +
      `separated by tabs or commas. ${mend}`,
  );
}
