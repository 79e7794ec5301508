// Image files: PNG of several kinds, TIFF, JPEG, WebP, .npy, through all readers.
import { writeFileSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import sharp from 'sharp';
import { mutate } from './mutate.mjs';
import { readImage } from './readers.mjs';

const noise = (count) =>
  Uint8Array.from({ length: count }, (_, i) => (i * 151 + (i >> 3) * 7) % 13);
const rgb = () => sharp(noise(24 * 18 * 3), { raw: { width: 24, height: 18, channels: 3 } });
const grey = () =>
  sharp(noise(24 * 18), { raw: { width: 24, height: 18, channels: 1 } }).toColourspace('b-w');
const deep = () =>
  sharp(
    Uint16Array.from(noise(24 * 18), (value) => value * 4000),
    {
      raw: { width: 24, height: 18, channels: 1 },
    },
  ).toColourspace('grey16');

/** Checksums put right, so that what lies behind them is reached. */
export function repairPng(bytes) {
  const changed = Buffer.from(bytes);
  for (let at = 8; at + 12 <= changed.length; ) {
    const end = at + 8 + changed.readUInt32BE(at);
    if (end + 4 > changed.length) break;
    changed.writeUInt32BE(crc(changed.subarray(at + 4, end)), end);
    at = end + 4;
  }
  return changed;
}

function crc(bytes) {
  if (crc32 !== undefined) return crc32(bytes);
  let value = ~0;
  for (const byte of bytes) {
    value ^= byte;
    for (let i = 0; i < 8; i++) value = (value >>> 1) ^ (value & 1 ? 0xedb88320 : 0);
  }
  return ~value >>> 0;
}

/** An array as numpy.save writes it, its header padded to a multiple of 64 bytes. */
export function npy(descr, shape, values, { fortran = false, version = 1 } = {}) {
  const start = version === 1 ? 10 : 12;
  const text = `{'descr': '${descr}', 'fortran_order': ${fortran ? 'True' : 'False'}, 'shape': (${shape.join(', ')}), }`;
  const padded = `${text.padEnd(Math.ceil((text.length + start + 1) / 64) * 64 - start - 1)}\n`;
  return npyOf(version, Buffer.from(padded), Buffer.from(values.buffer));
}

function npyOf(version, header, rest) {
  const length = Buffer.alloc(version === 1 ? 2 : 4);
  if (version === 1) length.writeUInt16LE(header.length & 0xffff);
  else length.writeUInt32LE(header.length);
  const start = Buffer.from(`\x93NUMPY${String.fromCharCode(version)}\0`, 'latin1');
  return Buffer.concat([start, length, header, rest]);
}

/** The header's text changed, its length put right. */
function mutateNpyHeader(seeds, random) {
  const seed = random.pick(seeds);
  const version = seed[6];
  const at = version === 1 ? 10 : 12;
  const end = at + (version === 1 ? seed.readUInt16LE(8) : seed.readUInt32LE(8));
  const numbers = ['0', '1', '-1', '1e3', '18', '24', '4294967296', '9007199254740993', '', ' '];
  const text = seed.toString('latin1', at, end);
  const changed =
    random.next() < 0.5
      ? text.replaceAll(/\d+/g, (number) => (random.next() < 0.3 ? random.pick(numbers) : number))
      : mutate([Buffer.from(text, 'latin1')], random, true).toString('latin1');
  return npyOf(version, Buffer.from(changed, 'latin1'), seed.subarray(end));
}

const image = (name, seeds, repair = (bytes) => bytes) => ({
  name,
  seeds,
  make: (valid, random, path) => {
    const bytes = mutate(valid, random, false);
    writeFileSync(path, random.next() < 0.7 ? repair(bytes) : bytes);
  },
  read: readImage,
  extension: name,
});

export default [
  image(
    'png',
    () =>
      Promise.all([
        rgb().png().toBuffer(),
        rgb().png({ palette: true }).toBuffer(),
        grey().png().toBuffer(),
        deep().png().toBuffer(),
        rgb().ensureAlpha().png({ progressive: true }).toBuffer(),
      ]),
    repairPng,
  ),
  image('tiff', () =>
    Promise.all([
      rgb().tiff({ compression: 'none' }).toBuffer(),
      grey().tiff({ compression: 'lzw' }).toBuffer(),
      deep().tiff({ compression: 'deflate', tile: true }).toBuffer(),
    ]),
  ),
  image('jpg', () =>
    Promise.all([
      rgb().jpeg().toBuffer(),
      rgb().jpeg({ progressive: true }).toBuffer(),
      rgb().toColourspace('cmyk').jpeg().toBuffer(),
    ]),
  ),
  image('webp', () =>
    Promise.all([
      rgb().webp().toBuffer(),
      rgb().webp({ lossless: true }).toBuffer(),
      rgb().ensureAlpha(0.5).withMetadata({ orientation: 6 }).webp({ lossless: true }).toBuffer(),
    ]),
  ),
  {
    ...image('npy', async () => [
      npy(
        '<f4',
        [18, 24],
        Float32Array.from(noise(18 * 24), (value) => value / 3 - 1),
      ),
      npy('>u2', [18, 24], new Uint16Array(noise(18 * 24))),
      npy('<i8', [18, 24, 1], BigInt64Array.from(noise(18 * 24), BigInt), { version: 2 }),
      npy('<f8', [18, 24, 3], Float64Array.from(noise(18 * 24 * 3)), { fortran: true }),
      npy('|b1', [18, 24], noise(18 * 24)),
      npy(
        '<f2',
        [18, 24],
        Uint16Array.from(noise(18 * 24), (value) => value * 5000),
      ),
    ]),
    make: (seeds, random, path) =>
      writeFileSync(
        path,
        random.next() < 0.5 ? mutate(seeds, random, false) : mutateNpyHeader(seeds, random),
      ),
  },
];
