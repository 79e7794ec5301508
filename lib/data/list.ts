/** List files: one sample a line, a column for each modality and, for labelled samples, one for the label. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DataError } from './errors.js';

/** The files of one sample. */
export interface Sample {
  /** The first column as it stands in the list: what messages and results call the sample. */
  readonly name: string;
  /** One path a modality, in the order of the modalities. */
  readonly files: readonly string[];
  readonly label: string | null;
}

export interface ListOptions {
  /** Folder that the list's paths are relative to (a leading slash changes nothing), or one for each column. */
  readonly root: string | readonly string[];
  /** Number of modalities. Default 2. */
  readonly modalities?: number;
  /** Whether lines must end in a label column. Default: as the first line has it. */
  readonly labelled?: boolean;
}

/**
 * Reads a tab-separated list such as the paper's: `rgb⇥depth⇥label`, unlabelled `rgb⇥depth`.
 * Blank lines are skipped, CRLF is taken as LF.
 * @throws DataError M3L_LIST_MISSING, M3L_LIST_EMPTY, M3L_LIST_COLUMNS (names file and line)
 */
export function readList(file: string, options: ListOptions): Sample[] {
  const { modalities = 2 } = options;
  const rows = readRows(file);
  const labelled = options.labelled ?? rows[0]!.columns.length === modalities + 1;
  const expected = modalities + (labelled ? 1 : 0);
  return rows.map(({ columns, line }) => {
    if (columns.length !== expected || columns.includes('')) {
      throw wrongColumns(`${file}:${line}`, columns, modalities, labelled);
    }
    const paths = columns.map((column, k) => join(rootOf(options.root, k), column));
    return {
      name: columns[0]!,
      files: paths.slice(0, modalities),
      label: labelled ? paths[modalities]! : null,
    };
  });
}

/**
 * Reads a list of bare names, one a line, that stand for the same file in several folders.
 * @param files one pattern a modality with `{name}` in it, relative to `root`; e.g. `rgb/{name}`
 * @param label the label's pattern; null for unlabelled samples
 * @throws DataError M3L_LIST_MISSING, M3L_LIST_EMPTY, M3L_LIST_COLUMNS, M3L_DATA_OPTIONS
 */
export function readNames(
  file: string,
  { root, files, label }: { root: string; files: readonly string[]; label: string | null },
): Sample[] {
  for (const pattern of label === null ? files : [...files, label]) {
    if (pattern.includes('{name}')) continue;
    throw new DataError(
      'M3L_DATA_OPTIONS',
      `the pattern '${pattern}' names one file for all samples, expected '{name}' in it, e.g. 'rgb/{name}'.`,
    );
  }
  return readRows(file).map(({ columns, line }) => {
    if (columns.length !== 1) {
      throw new DataError(
        'M3L_LIST_COLUMNS',
        `${file}:${line}: found ${columns.length} columns, expected one name. ` +
          'Leave the file patterns out for a list that gives the paths itself.',
      );
    }
    const name = columns[0]!;
    const fill = (pattern: string) => join(root, pattern.replaceAll('{name}', name));
    return { name, files: files.map(fill), label: label === null ? null : fill(label) };
  });
}

/** The same samples without their labels, to train on as unlabelled ones. */
export function withoutLabels(samples: readonly Sample[]): Sample[] {
  return samples.map((sample) => ({ ...sample, label: null }));
}

function readRows(file: string): { columns: string[]; line: number }[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? String(error);
    throw new DataError(
      'M3L_LIST_MISSING',
      `${file}: cannot be read (${reason}), expected a list file. Check the path.`,
      { cause: error },
    );
  }
  const rows = text
    .replace(/^\uFEFF/, '')
    .split(/\r\n|\n|\r/)
    .map((content, index) => ({ content, line: index + 1 }))
    .filter(({ content }) => content.trim() !== '')
    .map(({ content, line }) => ({ columns: content.split('\t').map((c) => c.trim()), line }));
  if (rows.length === 0) {
    throw new DataError('M3L_LIST_EMPTY', `${file}: found no line, expected one sample a line.`);
  }
  return rows;
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
  const found = columns.includes('') ? 'an empty column' : `${columns.length} columns`;
  return new DataError(
    'M3L_LIST_COLUMNS',
    `${place}: found ${found}, expected ${modalities + (labelled ? 1 : 0)} (${wanted}), ` +
      `separated by tabs. ${spaces ? 'Spaces do not separate columns: use tabs.' : 'Mend the line.'}`,
  );
}
