/**
 * Zip archives, as PyTorch and NumPy write them: stored and deflated entries, zip64. Every number of
 * the directory is checked against the file before anything of its size is asked for.
 * https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
 */
import { crc32 } from '../crc32.js';
import type { M3lError } from '../errors.js';
import { corrupt, type FileSource, PAUSE, quoted, type Reading } from './source.js';

export interface ZipEntry {
  readonly name: string;
  readonly deflated: boolean;
  readonly crc: number;
  /** Bytes in the archive, and unpacked. */
  readonly packed: number;
  readonly size: number;
  /** Where the local header starts. */
  readonly header: number;
}

/** Entries by name, without folders. */
export type ZipDirectory = ReadonlyMap<string, ZipEntry>;

const END = 0x06054b50;
const END_64_LOCATOR = 0x07064b50;
const END_64 = 0x06064b50;
const CENTRAL = 0x02014b50;
const LOCAL = 0x04034b50;
const LOCAL_BYTES = 30;
const CENTRAL_BYTES = 46;
/** The end record is the last but for a comment of at most 64 KiB. */
const LONGEST_END = 22 + 0xffff;
/** Of a million entries: what lists more is no checkpoint. */
const LONGEST_DIRECTORY = 256 << 20;
/** What deflate can make of a byte at most. */
const DEFLATE_RATIO = 1032;
/** What one call of zlib unpacks to. */
const LARGEST_UNPACKED = 2 ** 31 - 1;
const ENCRYPTED = 1;
/** Entries that are looked at in a few milliseconds. */
const ENTRIES_AT_ONCE = 512;
const WHERE_64 = 0xffffffff;

/** @throws M3lError M3L_ZIP for an archive that is truncated or does not follow the format */
export function* readDirectory(file: FileSource): Reading<ZipDirectory> {
  const { count, start, size } = yield* readEnd(file);
  if (size > LONGEST_DIRECTORY || start + size > file.size || count * CENTRAL_BYTES > size) {
    throw damaged(file, `its directory (${count} entries, ${size} bytes at ${start}) is not in it`);
  }
  const bytes = Buffer.from((yield* file.bytes(start, start + size)).buffer);
  const entries = new Map<string, ZipEntry>();
  let at = 0;
  for (let i = 0; i < count; i++) {
    if (i % ENTRIES_AT_ONCE === ENTRIES_AT_ONCE - 1) yield PAUSE;
    const entry = readCentral(file, bytes, at);
    at = entry.next;
    if (entry.name.endsWith('/')) continue;
    if (entries.has(entry.name)) throw damaged(file, `${quoted(entry.name)} is in it twice`);
    entries.set(entry.name, entry);
  }
  checkOverlap(file, [...entries.values()], start);
  return entries;
}

function* readEnd(file: FileSource): Reading<{ count: number; start: number; size: number }> {
  const from = Math.max(0, file.size - LONGEST_END);
  const tail = Buffer.from((yield* file.bytes(from, file.size)).buffer);
  let at = tail.length - 22;
  while (at >= 0 && tail.readUInt32LE(at) !== END) at -= 1;
  if (at < 0) throw damaged(file, 'it has no directory; the download or the copy was cut short');
  const end = {
    count: tail.readUInt16LE(at + 10),
    size: tail.readUInt32LE(at + 12),
    start: tail.readUInt32LE(at + 16),
  };
  if (at < 20 || tail.readUInt32LE(at - 20) !== END_64_LOCATOR) return end;
  const place = Number(tail.readBigUInt64LE(at - 12));
  if (place + 56 > file.size) throw damaged(file, 'its zip64 record is not in it');
  const record = Buffer.from((yield* file.bytes(place, place + 56)).buffer);
  if (record.readUInt32LE(0) !== END_64) throw damaged(file, 'its zip64 record is none');
  return {
    count: Number(record.readBigUInt64LE(32)),
    size: Number(record.readBigUInt64LE(40)),
    start: Number(record.readBigUInt64LE(48)),
  };
}

function readCentral(file: FileSource, bytes: Buffer, at: number): ZipEntry & { next: number } {
  if (at + CENTRAL_BYTES > bytes.length || bytes.readUInt32LE(at) !== CENTRAL) {
    throw damaged(file, `its directory has no entry at byte ${at}`);
  }
  const nameEnd = at + CENTRAL_BYTES + bytes.readUInt16LE(at + 28);
  const extraEnd = nameEnd + bytes.readUInt16LE(at + 30);
  const next = extraEnd + bytes.readUInt16LE(at + 32);
  if (next > bytes.length)
    throw damaged(file, `the entry at byte ${at} is longer than its directory`);
  const name = bytes.toString('utf8', at + CENTRAL_BYTES, nameEnd);
  const method = bytes.readUInt16LE(at + 10);
  if (method !== 0 && method !== 8) {
    throw damaged(file, `${quoted(name)} is packed by method ${method}; only 0 and 8 are read`);
  }
  if (bytes.readUInt16LE(at + 8) & ENCRYPTED) throw damaged(file, `${quoted(name)} is encrypted`);
  const wide = wideNumbers(bytes.subarray(nameEnd, extraEnd));
  const number = (offset: number) => {
    const narrow = bytes.readUInt32LE(at + offset);
    return narrow === WHERE_64 ? (wide.shift() ?? narrow) : narrow;
  };
  // In the order in which the zip64 field has those that are not here.
  const size = number(24);
  const packed = number(20);
  const header = number(42);
  const entry = {
    name,
    deflated: method === 8,
    crc: bytes.readUInt32LE(at + 16),
    packed,
    size,
    header,
  };
  const fault = faultOf(entry);
  if (fault !== null) throw damaged(file, `${quoted(name)} ${fault}`);
  return { ...entry, next };
}

function faultOf({ deflated, packed, size }: ZipEntry): string | null {
  if (!deflated) return size === packed ? null : `is stored in ${packed} bytes, but has ${size}`;
  if (size > DEFLATE_RATIO * packed + 64)
    return `has ${size} bytes in ${packed}, which no packing does`;
  if (size <= LARGEST_UNPACKED) return null;
  return `unpacks to ${size} bytes, expected at most ${LARGEST_UNPACKED}; save it uncompressed`;
}

/** The 64-bit numbers of the zip64 extra field. */
function wideNumbers(extra: Buffer): number[] {
  for (let at = 0; at + 4 <= extra.length; ) {
    const end = at + 4 + extra.readUInt16LE(at + 2);
    if (extra.readUInt16LE(at) === 1 && end <= extra.length) {
      const numbers: number[] = [];
      for (let i = at + 4; i + 8 <= end; i += 8) numbers.push(Number(extra.readBigUInt64LE(i)));
      return numbers;
    }
    at = end;
  }
  return [];
}

/** Entries that share bytes are how a small archive unpacks to a huge one. */
function checkOverlap(file: FileSource, entries: ZipEntry[], directory: number): void {
  entries.sort((a, b) => a.header - b.header);
  let free = 0;
  for (const entry of entries) {
    if (entry.header < free)
      throw damaged(file, `${quoted(entry.name)} overlaps what is before it`);
    free = entry.header + LOCAL_BYTES + Buffer.byteLength(entry.name) + entry.packed;
    if (free > directory) throw damaged(file, `${quoted(entry.name)} ends after byte ${directory}`);
  }
}

/** Where the bytes of an entry lie. */
export function* entryRange(
  file: FileSource,
  entry: ZipEntry,
): Reading<[start: number, end: number]> {
  const at = entry.header;
  const local = yield* file.staged(at, at + LOCAL_BYTES);
  const bytes = Buffer.from(local.buffer, 0, LOCAL_BYTES);
  if (bytes.readUInt32LE(0) !== LOCAL) throw damaged(file, `${quoted(entry.name)} is not at ${at}`);
  const start = at + LOCAL_BYTES + bytes.readUInt16LE(26) + bytes.readUInt16LE(28);
  if (start + entry.packed > file.size) throw damaged(file, `${quoted(entry.name)} is cut short`);
  return [start, start + entry.packed];
}

/** The bytes of an entry, unpacked and checked. */
export function* readEntry(
  file: FileSource,
  entry: ZipEntry,
  checksums = true,
): Reading<Uint8Array> {
  const [start, end] = yield* entryRange(file, entry);
  const stored = yield* file.bytes(start, end);
  const bytes = entry.deflated ? yield* inflated(file, entry, stored) : stored;
  if (checksums) requireCrc(file, entry, crc32(bytes));
  return bytes;
}

function* inflated(file: FileSource, entry: ZipEntry, packed: Uint8Array): Reading<Uint8Array> {
  let bytes: Uint8Array;
  try {
    bytes = yield { packed, size: entry.size || 1 };
  } catch (error) {
    throw damaged(file, `${quoted(entry.name)} cannot be unpacked: ${(error as Error).message}`);
  }
  if (bytes.length === entry.size) return bytes;
  throw damaged(file, `${quoted(entry.name)} unpacks to ${bytes.length} bytes, not ${entry.size}`);
}

export function requireCrc(file: FileSource, entry: ZipEntry, found: number): void {
  if (found === entry.crc) return;
  throw damaged(
    file,
    `${quoted(entry.name)} has the CRC-32 ${hex(found)}, expected ${hex(entry.crc)}: the file was damaged; fetch or copy it again, or read it with { checksums: false } where it was saved without them`,
  );
}

const hex = (crc: number) => crc.toString(16).padStart(8, '0');

export function damaged(file: FileSource, reason: string): M3lError {
  return corrupt('M3L_ZIP', file.path, 'zip archive', reason);
}
