// Image files: PNG of several kinds, TIFF, JPEG, through all readers.
import { writeFileSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import sharp from 'sharp';
import { readColour, readGrey, readLabels } from '../../dist/data/index.js';
import { mutate } from './mutate.mjs';

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

async function read(path) {
  const errors = [];
  for (const reader of [readColour, readGrey, readLabels]) {
    try {
      await reader(path);
    } catch (error) {
      errors.push(error);
    }
  }
  return errors;
}

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

const image = (name, seeds, repair = (bytes) => bytes) => ({
  name,
  seeds,
  make: (valid, random, path) => {
    const bytes = mutate(valid, random, false);
    writeFileSync(path, random.next() < 0.7 ? repair(bytes) : bytes);
  },
  read,
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
];
