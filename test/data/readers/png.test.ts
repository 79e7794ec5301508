import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import { readChannels, readColour, readGrey, readHeader, readLabels } from 'm3l/data';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { crc32, tableCrc32 } from '../../../dist/torch/crc32.js';
import { chunk, pattern, temporaryFolder, writePng } from '../fixtures.js';

const folder = temporaryFolder();
const at = (name: string) => join(folder, name);

interface Parts {
  width?: number;
  height?: number;
  bits?: number;
  colourType?: number;
  compression?: number;
  filter?: number;
  interlace?: number;
  palette?: Buffer | null;
  pixels?: Buffer;
}

/** A PNG of given parts: 2 × 2 grey pixels unless told. */
function png(parts: Parts = {}): Buffer {
  const { width = 2, height = 2, bits = 8, colourType = 0, compression = 0 } = parts;
  const { filter = 0, interlace = 0, palette = null, pixels = Buffer.alloc(6) } = parts;
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([bits, colourType, compression, filter, interlace], 8);
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    chunk('IHDR', header),
    ...(palette ? [chunk('PLTE', palette)] : []),
    chunk('IDAT', deflateSync(pixels)),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

describe('stored values', () => {
  it.each([1, 2, 4])('of %i bits: as they are in grey, stretched in colours', async (bits) => {
    const values = pattern(35, 2 ** bits);
    writePng(at('few.png'), 7, 5, values, { bits, colourType: 0 });
    expect([...(await readGrey(at('few.png'))).data]).toEqual(values);
    const bright = values.map((v) => (v * 255) / (2 ** bits - 1));
    const { data } = await readColour(at('few.png'));
    expect([...data]).toEqual(bright.flatMap((v) => [v, v, v]));
    expect(await sharp(at('few.png')).toColourspace('b-w').raw().toBuffer()).toEqual(
      Buffer.from(bright),
    );
  });

  it.each([
    { channels: 1, palette: true, wide: false },
    { channels: 1, palette: false, wide: true },
    { channels: 3, palette: false, wide: true },
    { channels: 3, palette: false, wide: false },
  ] as const)('of interlaced files: %o', async ({ channels, palette, wide }) => {
    const space = channels === 3 ? (wide ? 'rgb16' : 'srgb') : wide ? 'grey16' : 'b-w';
    for (const [width, height] of [
      [1, 1],
      [3, 2],
      [5, 9],
      [33, 17],
    ] as const) {
      const values = pattern(width * height * channels, wide ? 65536 : 256);
      await sharp((wide ? Uint16Array : Uint8Array).from(values), {
        raw: { width, height, channels },
      })
        .toColourspace(space)
        .png({ progressive: true, palette })
        .toFile(at('interlaced.png'));
      if (palette) {
        const { data } = await readColour(at('interlaced.png'));
        // From memory: sharp remembers files by their names.
        const theirs = await sharp(readFileSync(at('interlaced.png')))
          .toColourspace('srgb')
          .removeAlpha();
        expect([...data]).toEqual([...(await theirs.raw().toBuffer())]);
        expect((await readLabels(at('interlaced.png'))).channels).toBe(1);
      } else expect([...(await readChannels(at('interlaced.png'))).data]).toEqual(values);
    }
  });

  it('with alpha: all channels, or without it', async () => {
    const values = pattern(35 * 4, 65536);
    await sharp(Uint16Array.from(values), { raw: { width: 7, height: 5, channels: 4 } })
      .toColourspace('rgb16')
      .png()
      .toFile(at('alpha.png'));
    expect(await readHeader(at('alpha.png'))).toMatchObject({ channels: 4, alpha: true });
    expect([...(await readChannels(at('alpha.png'))).data]).toEqual(values);
    const opaque = values.filter((_, i) => i % 4 !== 3);
    expect([...(await readColour(at('alpha.png'))).data]).toEqual(opaque);
  });

  it('of palettes as colours', async () => {
    const palette = Buffer.from([1, 2, 3, 9, 9, 9]);
    writeFileSync(
      at('p.png'),
      png({ colourType: 3, palette, pixels: Buffer.from([0, 1, 0, 0, 0, 1]) }),
    );
    expect([...(await readColour(at('p.png'))).data]).toEqual([9, 9, 9, 1, 2, 3, 1, 2, 3, 9, 9, 9]);
    expect(await readHeader(at('p.png'))).toMatchObject({ colour: 'palette', channels: 1 });
    await expect(readGrey(at('p.png'))).rejects.toThrow('found a palette of colours');
  });
});

describe('hostile and damaged files', () => {
  const wrong: [string, Parts, string][] = [
    ['no width', { width: 0 }, '0 × 2 pixels'],
    ['an absurd width', { width: 1.6e9, bits: 1 }, '1600000000 × 2 pixels'],
    ['no bits', { bits: 0, width: 1.6e9 }, '0 bits a sample'],
    ['9 bits', { bits: 9 }, '9 bits a sample, colour type 0 has 1, 2, 4, 8, 16'],
    ['a palette of 16 bits', { bits: 16, colourType: 3 }, '16 bits a sample'],
    ['an unknown colour type', { colourType: 5 }, 'unknown colour type 5'],
    ['an unknown compression', { compression: 9 }, 'unknown compression method 9'],
    ['an unknown filter method', { filter: 9 }, 'unknown filter method 9'],
    ['an unknown interlace method', { interlace: 2 }, 'unknown interlace method 2'],
    ['no palette', { colourType: 3 }, 'a palette image without a palette (PLTE chunk)'],
    [
      'an index beyond the palette',
      { colourType: 3, palette: Buffer.alloc(6), pixels: Buffer.from([0, 1, 2, 0, 0, 1]) },
      'a pixel has index 2, its palette 2 colours',
    ],
    [
      'a palette of odd length',
      { colourType: 3, palette: Buffer.alloc(7) },
      'a palette of 7 bytes',
    ],
    ['too many pixels', { pixels: Buffer.alloc(50_000_000) }, 'more pixel data than its width'],
    ['too few pixels', { width: 9 }, 'the pixel data ends too early'],
    ['few pixels for its size', { width: 16384, height: 16384 }, 'the pixel data ends too early'],
    [
      'few pixels with alpha',
      { width: 8192, height: 8192, colourType: 6 },
      'the pixel data ends too early',
    ],
  ];

  it.each(wrong)('with %s', async (_, parts, reason) => {
    writeFileSync(at('wrong.png'), png(parts));
    for (const reader of [readColour, readGrey, readLabels, readChannels]) {
      await expect(reader(at('wrong.png'))).rejects.toMatchObject({
        code: 'M3L_IMAGE_CORRUPT',
        message: expect.stringContaining(`wrong.png: cannot be decoded (${reason}`),
      });
    }
  });

  it('with a stale checksum, whose chunk it names', async () => {
    const whole = png();
    for (const type of ['IHDR', 'IDAT', 'IEND']) {
      const bytes = Buffer.from(whole);
      const start = bytes.indexOf(type) - 4;
      bytes[start + 8 + bytes.readUInt32BE(start)]! ^= 1;
      writeFileSync(at('stale.png'), bytes);
      await expect(readGrey(at('stale.png'))).rejects.toMatchObject({
        code: 'M3L_IMAGE_CORRUPT',
        message: expect.stringContaining(`the checksum of its "${type}" chunk is wrong`),
      });
    }
  });
});

it('both ways to a checksum agree', () => {
  for (const length of [0, 1, 5, 1000]) {
    const body = Buffer.from(pattern(length, 256));
    const type = Buffer.from('IDAT');
    expect(tableCrc32(body, tableCrc32(type))).toBe(crc32(body, crc32(type)));
    expect(chunk('IDAT', body).readUInt32BE(length + 8)).toBe(crc32(body, crc32(type)));
  }
});
