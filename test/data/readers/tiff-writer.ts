import { writeFileSync } from 'node:fs';

export interface TiffTags {
  readonly width: number;
  readonly height: number;
  /** Bits of each channel. */
  readonly bits: readonly number[];
  /** 1 unsigned, 2 signed, 3 float. */
  readonly format?: number;
  readonly photometric?: number;
  /** Further tags, or others in place of those. */
  readonly more?: Readonly<Record<number, readonly number[]>>;
}

/** Writes a little-endian TIFF of one strip, for what sharp cannot write. */
export function writeTiff(file: string, tags: TiffTags, strip: Buffer): void {
  const { width, height, bits, format = 1, photometric = 1, more = {} } = tags;
  const all: Record<number, readonly number[]> = {
    256: [width],
    257: [height],
    258: bits,
    259: [1],
    262: [photometric],
    273: [8],
    277: [bits.length],
    279: [strip.length],
    339: [format],
    ...more,
  };
  const numbers = Object.keys(all).map(Number);
  const directory = 8 + strip.length;
  const entries = Buffer.alloc(2 + 12 * numbers.length + 4);
  const tail: Buffer[] = [];
  let free = directory + entries.length;
  entries.writeUInt16LE(numbers.length, 0);
  numbers.forEach((tag, k) => {
    const values = all[tag]!;
    const at = 2 + 12 * k;
    const body = Buffer.from(Uint32Array.from(values).buffer);
    entries.writeUInt16LE(tag, at);
    entries.writeUInt16LE(4, at + 2);
    entries.writeUInt32LE(values.length, at + 4);
    if (values.length === 1) body.copy(entries, at + 8);
    else {
      entries.writeUInt32LE(free, at + 8);
      tail.push(body);
      free += body.length;
    }
  });
  const start = Buffer.from('II*\0\0\0\0\0', 'latin1');
  start.writeUInt32LE(directory, 4);
  writeFileSync(file, Buffer.concat([start, strip, entries, ...tail]));
}
