/** What the strips and tiles of a TIFF file are compressed with. */

import { inflateSync } from 'node:zlib';

/** Unpacks to at most `length` bytes. Throws where the data is damaged, or is more. */
type Unpack = (packed: Buffer, length: number) => Buffer;

interface Compression {
  readonly unpack: Unpack;
  /** How many bytes one packed byte can become, at most. */
  readonly ratio: number;
}

/** By the number of the tag Compression. */
export const COMPRESSIONS: Readonly<Record<number, Compression>> = {
  1: { unpack: (packed, length) => Buffer.from(packed.subarray(0, length)), ratio: 1 },
  5: { unpack: unpackLzw, ratio: 4096 },
  8: { unpack: inflate, ratio: 1032 },
  32773: { unpack: unpackBytes, ratio: 64 },
  32946: { unpack: inflate, ratio: 1032 },
};

/** What those that are not read are called. */
export const OTHER_COMPRESSIONS: Readonly<Record<number, string>> = {
  2: 'CCITT',
  3: 'CCITT fax 3',
  4: 'CCITT fax 4',
  6: 'old JPEG',
  34712: 'JPEG 2000',
  34887: 'LERC',
  34925: 'LZMA',
  50000: 'Zstandard',
  50001: 'WebP',
  50002: 'JPEG XL',
};

function inflate(packed: Buffer, length: number): Buffer {
  return inflateSync(packed, { maxOutputLength: Math.max(1, length) });
}

/** PackBits: runs and literal bytes by turns. */
function unpackBytes(packed: Buffer, length: number): Buffer {
  const out = Buffer.alloc(length);
  let to = 0;
  for (let at = 0; at < packed.length && to < length; ) {
    const head = packed.readInt8(at++);
    if (head >= 0) {
      to += packed.copy(out, to, at, at + head + 1);
      at += head + 1;
    } else if (head !== -128) {
      if (at >= packed.length) break;
      out.fill(packed[at++]!, to, Math.min(length, to + 1 - head));
      to += 1 - head;
    }
  }
  return out.subarray(0, Math.min(to, length));
}

const CLEAR = 256;
const END = 257;

/** LZW with the highest bits first, whose codes grow one early, as TIFF 6.0 section 13 has it. */
function unpackLzw(packed: Buffer, length: number): Buffer {
  const out = Buffer.alloc(length);
  // A code above 257 stands for bytes of the output: those of the code before it and one more.
  const starts = new Uint32Array(4096);
  const lengths = new Uint32Array(4096);
  let to = 0;
  let next = 258;
  let width = 9;
  let last = -1;
  let lastStart = 0;
  let lastLength = 0;
  for (let bit = 0; bit + width <= packed.length * 8 && to < length; ) {
    const code = bitsAt(packed, bit, width);
    bit += width;
    if (code === END) break;
    if (code === CLEAR) {
      next = 258;
      width = 9;
      last = -1;
      continue;
    }
    if (code > next || (code === next && last < 0))
      throw new Error(`an LZW code ${code} too early`);
    if (last >= 0 && next < 4096) {
      starts[next] = lastStart;
      lengths[next++] = lastLength + 1;
    }
    lastStart = to;
    lastLength = code < 256 ? 1 : lengths[code]!;
    last = code;
    if (code < 256) out[to++] = code;
    else {
      // Byte by byte: what is copied may be what has just been written.
      const from = starts[code]!;
      const end = Math.min(length, to + lastLength);
      for (let k = 0; to < end; k++) out[to++] = out[from + k]!;
    }
    if (next + 1 >= 1 << width && width < 12) width++;
  }
  return out.subarray(0, to);
}

function bitsAt(from: Buffer, bit: number, width: number): number {
  const byte = bit >> 3;
  const three = (from[byte]! << 16) | ((from[byte + 1] ?? 0) << 8) | (from[byte + 2] ?? 0);
  return (three >> (24 - width - (bit & 7))) & ((1 << width) - 1);
}
