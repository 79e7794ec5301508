/** Reads the head of a shared library: what is damaged must not be opened, since mapping it can kill the process. */
import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs';
import { readingForbidden } from './permission.js';

/** The processors that Node runs on, as an ELF file numbers them. */
const MACHINES: Record<string, number> = {
  ia32: 3,
  s390x: 22,
  arm: 40,
  x64: 62,
  arm64: 183,
  riscv64: 243,
};
/** Bytes of an entry of the table of segments, and how many are read; a library has about ten. */
const ENTRY = 56;
const MOST_SEGMENTS = 256;

/** What the head of an ELF file says. */
export interface ElfHead {
  /** Whether it says so; all else is read as if it were. */
  littleEndian: boolean;
  /** 3 is a shared library. */
  type: number;
  /** As ELF numbers processors: 62 is x86-64, 183 is AArch64. */
  machine: number;
  segments: Segment[] | 'damaged';
  /** Where in the file the last byte ends that loading maps, and the last that the file has. */
  mappedEnd: number;
  sectionsEnd: number;
}

export interface Segment {
  type: number;
  offset: number;
  address: number;
  /** In the file. */
  length: number;
}

/** ELF's number of the architecture that Node calls `arch`. */
export function machineOf(arch: string): number | null {
  return MACHINES[arch] ?? null;
}

/**
 * Why `file` is no whole shared library of this machine, in words that follow its path; null where it
 * is. Opens nothing. On systems whose libraries are not ELF files only that it is there is looked at.
 */
export function libraryFault(file: string): string | null {
  const forbidden = readingForbidden(file);
  if (forbidden !== null) return `cannot be looked at: ${forbidden}`;
  if (!existsSync(file)) return 'does not exist';
  if (process.platform !== 'linux') return null;
  try {
    return elfFault(file);
  } catch (error) {
    return `cannot be read (${(error as Error).message})`;
  }
}

function elfFault(file: string): string | null {
  const descriptor = openSync(file, 'r');
  try {
    const { size } = fstatSync(descriptor);
    const head = readElfHead(descriptor);
    if (head === null) {
      return size === 0 ? 'is empty' : 'is no 64-bit ELF library (truncated, or something else)';
    }
    if (head.machine !== machineOf(process.arch)) {
      const name = Object.keys(MACHINES).find((key) => MACHINES[key] === head.machine);
      return `is for ${name ?? `ELF machine ${head.machine}`}, this is ${process.arch}`;
    }
    if (head.segments === 'damaged') return 'is damaged';
    const missing = head.mappedEnd - size;
    if (missing > 0) return `is truncated: ${missing} of its bytes are missing`;
    return head.segments.length === 0 ? 'is damaged' : null;
  } finally {
    closeSync(descriptor);
  }
}

/** The head of a 64-bit ELF file, read as little-endian; null where it is none. Reads no more than that. */
export function readElfHead(descriptor: number): ElfHead | null {
  const header = bytes(descriptor, 0, 64);
  const isElf = header.length === 64 && header.readUInt32BE(0) === 0x7f454c46;
  if (!isElf || header[4] !== 2) return null;
  const start = Number(header.readBigUInt64LE(32));
  const count = header.readUInt16LE(56);
  const known = {
    littleEndian: header[5] === 1,
    type: header.readUInt16LE(16),
    machine: header.readUInt16LE(18),
    sectionsEnd:
      Number(header.readBigUInt64LE(40)) + header.readUInt16LE(58) * header.readUInt16LE(60),
  };
  const entryFits = count === 0 || header.readUInt16LE(54) === ENTRY;
  if (!Number.isSafeInteger(start) || count > MOST_SEGMENTS || !entryFits) {
    return { ...known, segments: 'damaged', mappedEnd: 0 };
  }
  const table = bytes(descriptor, start, ENTRY * count);
  const whole = Math.floor(table.length / ENTRY);
  const segments = Array.from({ length: whole }, (_, i) => segmentAt(table, ENTRY * i));
  const ends = segments.map(({ offset, length }) => offset + length);
  return { ...known, segments, mappedEnd: Math.max(start + ENTRY * count, ...ends) };
}

function segmentAt(table: Buffer, at: number): Segment {
  return {
    type: table.readUInt32LE(at),
    offset: Number(table.readBigUInt64LE(at + 8)),
    address: Number(table.readBigUInt64LE(at + 16)),
    length: Number(table.readBigUInt64LE(at + 32)),
  };
}

function bytes(descriptor: number, position: number, length: number): Buffer {
  const buffer = Buffer.alloc(length);
  return buffer.subarray(0, readSync(descriptor, buffer, 0, length, position));
}
