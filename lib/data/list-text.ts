/** The text of a list file: its encoding, lines and cells. */

import { readFileSync, statSync } from 'node:fs';
import { DataError } from './errors.js';

/** Cells of a line that is not blank; `line` counts from 1. */
export interface Row {
  readonly cells: readonly string[];
  readonly line: number;
}

const MAX_BYTES = 2 ** 28;

/**
 * The lines of a list, whichever of LF, CR and CRLF ends them; blank ones are left out. UTF-8, or UTF-16
 * as spreadsheets save it.
 * @throws DataError M3L_LIST_MISSING, M3L_LIST_TEXT for what is no text, M3L_LIST_EMPTY
 */
export function readLines(file: string): { content: string; line: number }[] {
  const lines = decode(file, readBytes(file))
    .split(/\r\n|\n|\r/)
    .map((content, index) => ({ content, line: index + 1 }))
    .filter(({ content }) => content.trim() !== '');
  const nul = lines.find(({ content }) => content.includes('\0'));
  if (nul) {
    throw new DataError(
      'M3L_LIST_TEXT',
      `${file}:${nul.line}: found a NUL character, which no path has. Save the list as UTF-8 text.`,
    );
  }
  if (lines.length > 0) return lines;
  throw new DataError('M3L_LIST_EMPTY', `${file}: found no line, expected one sample a line.`);
}

function readBytes(file: string): Buffer {
  try {
    const stat = statSync(file);
    // A device or a pipe may never end.
    if (!stat.isFile()) throw new Error('it is not a regular file');
    if (stat.size > MAX_BYTES) throw new Error(`it has ${stat.size} bytes, at most ${MAX_BYTES}`);
    return readFileSync(file);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new DataError(
      'M3L_LIST_MISSING',
      `${file.replaceAll('\0', '\\0')}: cannot be read (${code ?? message}), expected a list file. ` +
        'Check the path.',
      { cause: error },
    );
  }
}

function decode(file: string, bytes: Buffer): string {
  const [first, second, third, fourth] = bytes;
  // Without a mark, Latin letters have a zero byte beside them.
  const little = (first === 0xff && second === 0xfe) || (!second && !fourth && first && third);
  const big = (first === 0xfe && second === 0xff) || (!first && !third && second && fourth);
  const encoding = little ? 'utf-16le' : big ? 'utf-16be' : 'utf-8';
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch (error) {
    throw new DataError(
      'M3L_LIST_TEXT',
      `${file}: found bytes that are not ${encoding.toUpperCase()} text, expected a list of paths. ` +
        'Save it as UTF-8.',
      { cause: error },
    );
  }
}

/**
 * The cells of each line: at tabs where the list has any, else at the commas or semicolons that give the
 * first line one of the `expected` numbers of cells. Cells between commas may be quoted.
 */
export function splitRows(
  lines: readonly { content: string; line: number }[],
  expected: readonly number[],
): Row[] {
  const split = (content: string, separator: string) =>
    separator === '\t' ? content.split('\t') : splitQuoted(content, separator);
  const first = lines.find(({ content }) => !content.startsWith('#')) ?? lines[0]!;
  const fits = (separator: string) =>
    expected.some((count) => count > 1 && split(first.content, separator).length === count);
  const tabs = lines.some(({ content }) => content.includes('\t'));
  const separator = tabs ? '\t' : ([',', ';'].find(fits) ?? '\t');
  return lines.map(({ content, line }) => ({
    cells: split(content, separator).map((cell) => cell.trim()),
    line,
  }));
}

/** As RFC 4180 has it: a quoted cell may hold the separator, and quotes doubled. */
function splitQuoted(content: string, separator: string): string[] {
  const cells: string[] = [];
  for (let at = 0; at <= content.length; ) {
    const quoted = /^\s*"((?:[^"]|"")*)"\s*/.exec(content.slice(at));
    const after = at + (quoted?.[0].length ?? 0);
    if (quoted && (after === content.length || content[after] === separator)) {
      cells.push(quoted[1]!.replaceAll('""', '"'));
      at = after + 1;
      continue;
    }
    const next = content.indexOf(separator, at);
    const end = next < 0 ? content.length : next;
    cells.push(content.slice(at, end));
    at = end + 1;
  }
  return cells;
}

/** What columns are called. */
const COLUMN =
  /^(rgb|images?|img|colou?r|photo|depth|disp(arity)?|thermal|infrared|ir|height|dsm|labels?|masks?|annotations?|gt|ground ?truth|seg(mentation)?|targets?|names?|ids?|files?|filenames?|paths?|samples?|scenes?)$/;

/** Whether all cells are column names: known ones, or `names`, with or without `_path` and the like. */
export function isHeader(cells: readonly string[], names: readonly string[]): boolean {
  return cells.every((cell) => {
    const word = cell.toLowerCase();
    const bare = word.replace(/[ _-]?(path|file|filename|image|img|map)s?$/, '');
    return [word, bare].some((form) => COLUMN.test(form) || names.includes(form));
  });
}
