import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import sharp from 'sharp';
import { afterAll } from 'vitest';

/** A folder that goes when the test file is done. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'm3l-data-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Pixels that differ from one another, and are the same in each run. */
export function pattern(length: number, modulus: number, step = 7919): number[] {
  return Array.from({ length }, (_, i) => (i * step + 13) % modulus);
}

export async function writeColour(
  file: string,
  width: number,
  height: number,
  values: ArrayLike<number>,
): Promise<void> {
  await sharp(Uint8Array.from(values), { raw: { width, height, channels: 3 } }).toFile(file);
}

export async function writeGrey(
  file: string,
  width: number,
  height: number,
  values: ArrayLike<number>,
  bits: 8 | 16 = 8,
): Promise<void> {
  const data = bits === 16 ? Uint16Array.from(values) : Uint8Array.from(values);
  await sharp(data, { raw: { width, height, channels: 1 } })
    .toColourspace(bits === 16 ? 'grey16' : 'b-w')
    .toFile(file);
}

/**
 * Writes a PNG byte by byte, for what sharp cannot write: chosen indices, bits, row filters. `filter`
 * may be one for each row. Type 2, RGB, takes interleaved values.
 */
export function writePng(
  file: string,
  width: number,
  height: number,
  values: readonly number[],
  {
    bits = 8,
    colourType = 3,
    filter = 0,
  }: { bits?: number; colourType?: number; filter?: number | readonly number[] },
): void {
  const channels = colourType === 2 ? 3 : 1;
  const step = Math.max(1, (channels * bits) / 8);
  const stride = Math.ceil((width * channels * bits) / 8);
  const columns = width * channels;
  const raw = Buffer.alloc(height * (stride + 1));
  let above = Buffer.alloc(stride);
  for (let row = 0; row < height; row++) {
    const line = Buffer.alloc(stride);
    for (let x = 0; x < columns; x++) {
      const bit = x * bits;
      if (bits === 16) line.writeUInt16BE(values[row * columns + x]!, 2 * x);
      else line[bit >> 3]! |= values[row * columns + x]! << (8 - bits - (bit & 7));
    }
    const kind = typeof filter === 'number' ? filter : filter[row]!;
    raw[row * (stride + 1)] = kind;
    for (let i = 0; i < stride; i++) {
      const left = i >= step ? line[i - step]! : 0;
      const corner = i >= step ? above[i - step]! : 0;
      raw[row * (stride + 1) + 1 + i] = line[i]! - prediction(kind, left, above[i]!, corner);
    }
    above = line;
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header[8] = bits;
  header[9] = colourType;
  const colours = Buffer.from(pattern(3 * 2 ** bits, 256, 37));
  const parts = [
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    chunk('IHDR', header),
    ...(colourType === 3 ? [chunk('PLTE', colours)] : []),
    chunk('IDAT', deflateSync(raw)),
    chunk('IEND', Buffer.alloc(0)),
  ];
  writeFileSync(file, Buffer.concat(parts));
}

function prediction(filter: number, left: number, up: number, corner: number): number {
  if (filter === 1) return left;
  if (filter === 2) return up;
  if (filter === 3) return Math.floor((left + up) / 2);
  if (filter < 4) return 0;
  const guess = left + up - corner;
  const nearest = [left, up, corner].map((value) => Math.abs(guess - value));
  return [left, up, corner][nearest.indexOf(Math.min(...nearest))]!;
}

export function chunk(type: string, body: Buffer): Buffer {
  const out = Buffer.alloc(12 + body.length);
  out.writeUInt32BE(body.length, 0);
  out.write(type, 4, 'latin1');
  body.copy(out, 8);
  out.writeUInt32BE(crc32(out.subarray(4, 8 + body.length)), 8 + body.length);
  return out;
}

function crc32(bytes: Buffer): number {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let k = 0; k < 8; k++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}
