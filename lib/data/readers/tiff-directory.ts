/** The directory of a TIFF file: its tags as numbers. Classic and BigTIFF, both byte orders. */

import type { ImageFile } from './reader.js';

export interface Directory {
  readonly littleEndian: boolean;
  /** The values of a tag that holds unsigned integers; undefined where it is absent. */
  values(tag: number): Promise<number[] | undefined>;
  /** The first of them, or `otherwise`. */
  value(tag: number, otherwise: number): Promise<number>;
}

/** Bytes of a value of the types that hold unsigned integers. */
const TYPE_BYTES: Readonly<Record<number, number>> = { 1: 1, 3: 2, 4: 4, 13: 4, 16: 8, 18: 8 };

const SUBFILE_TYPE = 254;
/** Smaller versions and masks of the picture are no pictures of their own. */
const REDUCED_OR_MASK = 5;
/** A file of so many pages is no image, or its pages go round. */
const MAX_PAGES = 64;

export function isTiff(start: Buffer): boolean {
  return ['II*\0', 'MM\0*', 'II+\0', 'MM\0+'].includes(start.toString('latin1', 0, 4));
}

/** The directory of the first page, and whether there are other pictures in the file. */
export async function readDirectory(
  file: ImageFile,
): Promise<{ directory: Directory; several: boolean }> {
  const littleEndian = file.start[0] === 0x49;
  const big = file.start[littleEndian ? 2 : 3] === 0x2b;
  const layout: Layout = { littleEndian, big, word: big ? 8 : 4, entry: big ? 20 : 12 };
  const first = await readPage(
    file,
    layout,
    await numberAt(file, big ? 8 : 4, layout.word, layout),
  );
  let several = false;
  let { next } = first;
  for (let page = 1; next !== 0 && page < MAX_PAGES && !several; page++) {
    const other = await readPage(file, layout, next);
    several = ((await other.directory.value(SUBFILE_TYPE, 0)) & REDUCED_OR_MASK) === 0;
    next = other.next;
  }
  return { directory: first.directory, several };
}

interface Layout {
  readonly littleEndian: boolean;
  readonly big: boolean;
  /** Bytes of an offset and of an entry. */
  readonly word: 4 | 8;
  readonly entry: 12 | 20;
}

async function readPage(
  file: ImageFile,
  layout: Layout,
  position: number,
): Promise<{ directory: Directory; next: number }> {
  const { big, word, entry, littleEndian } = layout;
  const countBytes = big ? 8 : 2;
  const count = await numberAt(file, position, countBytes, layout);
  if (count > 65535) throw new Error(`a directory of ${count} tags`);
  const start = position + countBytes;
  const entries = await exactly(file, start, count * entry);
  const values = async (tag: number) => {
    for (let at = 0; at < entries.length; at += entry) {
      if (toNumber(entries, at, 2, littleEndian) !== tag) continue;
      const bytes = TYPE_BYTES[toNumber(entries, at + 2, 2, littleEndian)];
      if (!bytes) throw new Error(`tag ${tag} is not of unsigned integers`);
      const length = bytes * toNumber(entries, at + 4, word, littleEndian);
      const field = at + 4 + word;
      const body =
        length <= word
          ? entries.subarray(field, field + length)
          : await exactly(file, toNumber(entries, field, word, littleEndian), length);
      return Array.from({ length: length / bytes }, (_, k) =>
        toNumber(body, k * bytes, bytes, littleEndian),
      );
    }
    return undefined;
  };
  const value = async (tag: number, otherwise: number) => (await values(tag))?.[0] ?? otherwise;
  const next = await numberAt(file, start + count * entry, word, layout);
  return { directory: { littleEndian, values, value }, next };
}

async function numberAt(
  file: ImageFile,
  position: number,
  bytes: number,
  { littleEndian }: Layout,
): Promise<number> {
  return toNumber(await exactly(file, position, bytes), 0, bytes, littleEndian);
}

async function exactly(file: ImageFile, position: number, length: number): Promise<Buffer> {
  if (position + length <= file.size) {
    const bytes = await file.read(position, length);
    if (bytes.length === length) return bytes;
  }
  throw new Error('a directory points beyond the end of the file');
}

function toNumber(from: Buffer, at: number, bytes: number, littleEndian: boolean): number {
  if (bytes === 8) {
    return Number(littleEndian ? from.readBigUInt64LE(at) : from.readBigUInt64BE(at));
  }
  return littleEndian ? from.readUIntLE(at, bytes) : from.readUIntBE(at, bytes);
}
