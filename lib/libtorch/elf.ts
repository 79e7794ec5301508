import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { readElfHead, type Segment } from '../torch/elf.js';

/** What the header and the dynamic section of a shared library say. */
export interface Elf {
  /** As in ELF's e_machine: 62 is x86-64, 183 is AArch64. */
  machine: number;
  /** Names of the libraries that it needs. */
  needed: string[];
  /** Where it looks for them, with `$ORIGIN` for its own folder. */
  searched: string[];
}

const NAMES: Record<number, string> = {
  3: 'x86',
  20: 'ppc',
  21: 'ppc64',
  22: 's390x',
  40: 'arm',
  62: 'x86-64',
  183: 'aarch64',
  243: 'riscv64',
};

export function machineName(machine: number): string {
  return NAMES[machine] ?? `machine number ${machine}`;
}

const SHARED = 3;
const LOAD = 1;
const DYNAMIC = 2;
const TAGS = { needed: 1, strings: 5, stringsSize: 10, rpath: 15, runpath: 29 };
/** Larger tables than any library has are not read. */
const MOST = { dynamic: 1 << 20, strings: 1 << 26 };

/**
 * Reads a 64-bit little-endian ELF library; returns a sentence where it is none or ends too soon.
 * Reads the headers, not the code.
 */
export function readElf(path: string): Elf | string {
  const file = openSync(path, 'r');
  try {
    return parse(file, fstatSync(file).size);
  } finally {
    closeSync(file);
  }
}

function parse(file: number, size: number): Elf | string {
  if (size < 64) return `it has ${size} bytes, too few for a library`;
  const head = readElfHead(file);
  if (!head?.littleEndian) return 'it is no ELF file of 64 bits, little-endian';
  const { type, machine, segments, mappedEnd, sectionsEnd } = head;
  if (type !== SHARED) return 'it is no shared library';
  if (segments === 'damaged') return 'its program headers are damaged';
  const end = Math.max(sectionsEnd, mappedEnd);
  if (end > size) return `it is cut off: ${size} bytes of at least ${end}`;
  const dynamic = segments.find((segment) => segment.type === DYNAMIC);
  if (dynamic === undefined) return { machine, needed: [], searched: [] };
  const names = dynamicNames(file, size, segments, dynamic);
  return names === null ? 'its dynamic section is damaged' : { machine, ...names };
}

function dynamicNames(file: number, size: number, segments: Segment[], dynamic: Segment) {
  if (dynamic.length > MOST.dynamic) return null;
  const entries = read(file, dynamic.offset, dynamic.length, size);
  if (entries === null) return null;
  const tags: [number, number][] = [];
  for (let at = 0; at + 16 <= entries.length; at += 16) {
    tags.push([Number(entries.readBigInt64LE(at)), Number(entries.readBigUInt64LE(at + 8))]);
  }
  const tagged = (wanted: number) => tags.find(([tag]) => tag === wanted)?.[1];
  const address = tagged(TAGS.strings);
  const length = tagged(TAGS.stringsSize);
  if (address === undefined || length === undefined) return { needed: [], searched: [] };
  const home = segments.find(
    (segment) =>
      segment.type === LOAD &&
      address >= segment.address &&
      address + length <= segment.address + segment.length,
  );
  if (home === undefined || length > MOST.strings) return null;
  const strings = read(file, home.offset + address - home.address, length, size);
  if (strings === null) return null;
  const text = (at: number) => {
    const end = strings.indexOf(0, at);
    return strings.toString('utf8', at, end < 0 ? strings.length : end);
  };
  const all = (wanted: number) => tags.filter(([tag]) => tag === wanted).map(([, at]) => text(at));
  const paths = [...all(TAGS.runpath), ...all(TAGS.rpath)];
  return {
    needed: all(TAGS.needed),
    searched: paths.flatMap((path) => path.split(':')).filter((path) => path !== ''),
  };
}

/** Exactly these bytes of the file, or null where it ends before. */
function read(file: number, offset: number, length: number, size: number): Buffer | null {
  if (!Number.isSafeInteger(offset) || offset + length > size) return null;
  const bytes = Buffer.alloc(length);
  let done = 0;
  while (done < length) {
    const step = readSync(file, bytes, done, length - done, offset + done);
    if (step === 0) return null;
    done += step;
  }
  return bytes;
}
