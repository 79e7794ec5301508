/** Reads the head of a shared library: what is damaged must not be opened, since mapping it can kill the process. */
import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs';
import { readingForbidden } from './permission.js';

/** The processors that Node runs on, as an ELF file numbers them. */
const MACHINES: Record<string, number> = { x64: 62, arm64: 183 };
/** Bytes of an entry of the table of segments. */
const ENTRY = 56;

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
    const header = bytes(descriptor, 0, 64);
    if (header.length < 64 || header.readUInt32BE(0) !== 0x7f454c46 || header[4] !== 2) {
      return size === 0 ? 'is empty' : 'is no 64-bit ELF library (truncated, or something else)';
    }
    const machine = header.readUInt16LE(18);
    if (machine !== MACHINES[process.arch]) {
      const name = Object.keys(MACHINES).find((key) => MACHINES[key] === machine);
      return `is for ${name ?? `ELF machine ${machine}`}, this is ${process.arch}`;
    }
    // A library has about ten.
    if (header.readUInt16LE(54) !== ENTRY || header.readUInt16LE(56) > 256) return 'is damaged';
    const missing = endOfSegments(descriptor, header) - size;
    return missing > 0 ? `is truncated: ${missing} of its bytes are missing` : null;
  } finally {
    closeSync(descriptor);
  }
}

/** Where in the file the last byte ends that loading maps. */
function endOfSegments(descriptor: number, header: Buffer): number {
  const start = Number(header.readBigUInt64LE(32));
  const length = ENTRY * header.readUInt16LE(56);
  const table = bytes(descriptor, start, length);
  let end = start + length;
  for (let at = 0; at + ENTRY <= table.length; at += ENTRY) {
    const offset = Number(table.readBigUInt64LE(at + 8));
    end = Math.max(end, offset + Number(table.readBigUInt64LE(at + 32)));
  }
  return end;
}

function bytes(descriptor: number, position: number, length: number): Buffer {
  const buffer = Buffer.alloc(length);
  return buffer.subarray(0, readSync(descriptor, buffer, 0, length, position));
}
