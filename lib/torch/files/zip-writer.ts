/** Zip archives: stored or packed entries, zip64 where numbers ask for it. */
import { deflateRawSync } from 'node:zlib';
import { crc32 } from '../crc32.js';

/** What an archive is to hold. */
export interface EntryToWrite {
  readonly name: string;
  readonly size: number;
  /** The bytes; called twice where they are many. */
  readonly chunks: () => Iterable<Uint8Array>;
}

const MOST_32 = 0xffffffff;
const MOST_16 = 0xffff;
const UTF8 = 0x0800;
/** What PyTorch fills with, so that values begin at its multiples: 'FB', a length, then 'Z's. */
const PADDING = 0x4246;
/** One that is held while its sum is taken; of a larger one the chunks are made again. */
const LARGEST_HELD = 1 << 30;

interface Written {
  readonly name: Buffer;
  readonly crc: number;
  readonly packed: number;
  readonly size: number;
  readonly method: number;
  readonly header: number;
}

/**
 * The bytes of an archive.
 * @param alignment of the first byte of each entry
 * @param compress pack the entries by deflate
 */
export function* zipChunks(
  entries: Iterable<EntryToWrite>,
  { alignment = 1, compress = false } = {},
): Generator<Uint8Array> {
  const written: Written[] = [];
  let at = 0;
  for (const entry of entries) {
    const name = Buffer.from(entry.name, 'utf8');
    const { crc, packed, chunks } = content(entry, compress);
    const { size } = entry;
    const facts = { name, crc, packed, size, method: compress ? 8 : 0, header: at };
    written.push(facts);
    const header = localHeader(facts, alignment);
    yield header;
    at += header.length + packed;
    yield* chunks();
  }
  yield* directory(written, at);
}

function content({ size, chunks }: EntryToWrite, compress: boolean) {
  if (!compress && size > LARGEST_HELD) {
    let crc = 0;
    for (const chunk of chunks()) crc = crc32(chunk, crc);
    return { crc, packed: size, chunks };
  }
  const held = [...chunks()];
  const crc = held.reduce((sum, chunk) => crc32(chunk, sum), 0);
  if (!compress) return { crc, packed: size, chunks: () => held };
  const packed = deflateRawSync(Buffer.concat(held));
  return { crc, packed: packed.length, chunks: () => [packed] };
}

function localHeader({ name, crc, packed, size, method, header }: Written, alignment: number) {
  const wide = size >= MOST_32 || packed >= MOST_32 ? wideField([size, packed]) : Buffer.alloc(0);
  const start = header + 30 + name.length + wide.length;
  const gap = alignment === 1 ? 0 : 4 + ((alignment - ((start + 4) % alignment)) % alignment);
  const bytes = Buffer.alloc(30);
  bytes.writeUInt32LE(0x04034b50, 0);
  bytes.writeUInt16LE(wide.length > 0 ? 45 : 20, 4);
  bytes.writeUInt16LE(UTF8, 6);
  bytes.writeUInt16LE(method, 8);
  bytes.writeUInt16LE(EARLIEST_DATE, 12);
  bytes.writeUInt32LE(crc, 14);
  bytes.writeUInt32LE(wide.length > 0 ? MOST_32 : packed, 18);
  bytes.writeUInt32LE(wide.length > 0 ? MOST_32 : size, 22);
  bytes.writeUInt16LE(name.length, 26);
  bytes.writeUInt16LE(wide.length + gap, 28);
  return Buffer.concat([bytes, name, wide, padding(gap)]);
}

/** 1 January 1980: so that the same values give the same file. */
const EARLIEST_DATE = 0x21;

function padding(length: number): Buffer {
  const bytes = Buffer.alloc(length, 'Z');
  if (length === 0) return bytes;
  bytes.writeUInt16LE(PADDING, 0);
  bytes.writeUInt16LE(length - 4, 2);
  return bytes;
}

function wideField(numbers: readonly number[]): Buffer {
  const field = Buffer.alloc(4 + 8 * numbers.length);
  field.writeUInt16LE(1, 0);
  field.writeUInt16LE(8 * numbers.length, 2);
  for (const [i, number] of numbers.entries()) field.writeBigUInt64LE(BigInt(number), 4 + 8 * i);
  return field;
}

function* directory(written: readonly Written[], start: number): Generator<Uint8Array> {
  const entries = Buffer.concat(written.map(centralHeader));
  yield entries;
  const size = entries.length;
  if (written.length >= MOST_16 || size >= MOST_32 || start >= MOST_32) {
    yield wideEnd(written.length, size, start);
  }
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(Math.min(written.length, MOST_16), 8);
  end.writeUInt16LE(Math.min(written.length, MOST_16), 10);
  end.writeUInt32LE(Math.min(size, MOST_32), 12);
  end.writeUInt32LE(Math.min(start, MOST_32), 16);
  yield end;
}

function centralHeader({ name, crc, packed, size, method, header }: Written): Buffer {
  const numbers = [size, packed, header];
  const large = numbers.filter((number) => number >= MOST_32);
  const wide = large.length > 0 ? wideField(large) : Buffer.alloc(0);
  const bytes = Buffer.alloc(46);
  bytes.writeUInt32LE(0x02014b50, 0);
  bytes.writeUInt16LE(wide.length > 0 ? 45 : 20, 4);
  bytes.writeUInt16LE(wide.length > 0 ? 45 : 20, 6);
  bytes.writeUInt16LE(UTF8, 8);
  bytes.writeUInt16LE(method, 10);
  bytes.writeUInt16LE(EARLIEST_DATE, 14);
  bytes.writeUInt32LE(crc, 16);
  bytes.writeUInt32LE(Math.min(packed, MOST_32), 20);
  bytes.writeUInt32LE(Math.min(size, MOST_32), 24);
  bytes.writeUInt16LE(name.length, 28);
  bytes.writeUInt16LE(wide.length, 30);
  bytes.writeUInt32LE(Math.min(header, MOST_32), 42);
  return Buffer.concat([bytes, name, wide]);
}

/** The zip64 record of the directory, and the one that says where that lies. */
function wideEnd(count: number, size: number, start: number): Buffer {
  const bytes = Buffer.alloc(56 + 20);
  bytes.writeUInt32LE(0x06064b50, 0);
  bytes.writeBigUInt64LE(44n, 4);
  bytes.writeUInt16LE(45, 12);
  bytes.writeUInt16LE(45, 14);
  bytes.writeBigUInt64LE(BigInt(count), 24);
  bytes.writeBigUInt64LE(BigInt(count), 32);
  bytes.writeBigUInt64LE(BigInt(size), 40);
  bytes.writeBigUInt64LE(BigInt(start), 48);
  bytes.writeUInt32LE(0x07064b50, 56);
  bytes.writeBigUInt64LE(BigInt(start + size), 64);
  bytes.writeUInt32LE(1, 72);
  return bytes;
}
