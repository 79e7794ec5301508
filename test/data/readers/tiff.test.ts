import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readChannels, readColour, readGrey, readHeader, readLabels } from 'm3l/data';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { pattern, temporaryFolder } from '../fixtures.js';
import { writeTiff } from './tiff-writer.js';

const folder = temporaryFolder();
const at = (name: string) => join(folder, name);
const [width, height] = [11, 7];

/** Files of 11 × 7 values that tifffile 2026 and numpy wrote, in base64; see `expectedOf`. */
const written = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../fixtures/tifffile.json'), 'utf8'),
) as Record<string, string>;

function expectedOf(name: string): number[] {
  const values = pattern(width * height, 509);
  if (/float|npy/.test(name)) return values.map((v) => (v - 100) / 16);
  if (name.startsWith('int8')) return values.map((v) => (v % 256) - 128);
  if (name.startsWith('int16')) return values.map((v) => v - 250);
  return values.map((v) => (v - (name.startsWith('int') ? 250 : 0)) * 8_000_000);
}

describe('values of every type', () => {
  it.each(Object.keys(written))('%s', async (name) => {
    const file = at('written.bin');
    writeFileSync(file, Buffer.from(written[name]!, 'base64'));
    const picture = await readGrey(file);
    expect([...picture.data]).toEqual(expectedOf(name));
    const header = await readHeader(file);
    expect(header).toMatchObject({ width, height, channels: 1, colour: 'grey' });
    expect(`${header.depth}array`).toBe(picture.data.constructor.name.toLowerCase());
  });

  it('gives labels of integral floats as int32, and refuses fractions by their place', async () => {
    const floats = Float32Array.from(pattern(width * height, 9));
    const tags = { width, height, bits: [32], format: 3 };
    writeTiff(at('label.tif'), tags, Buffer.from(floats.buffer));
    const { data } = await readLabels(at('label.tif'));
    expect(data).toBeInstanceOf(Int32Array);
    expect([...data]).toEqual([...floats]);
    floats[width + 2] = 0.5;
    writeTiff(at('label.tif'), tags, Buffer.from(floats.buffer));
    await expect(readLabels(at('label.tif'))).rejects.toMatchObject({
      code: 'M3L_LABEL_FORMAT',
      message: expect.stringContaining('found the number 0.5 (row 1, column 2)'),
    });
  });
});

const compressions = ['none', 'lzw', 'deflate', 'packbits'] as const;

describe.each(compressions)('files of the image library with compression %s', (compression) => {
  it.each([
    { wide: false, channels: 3, tile: false },
    { wide: false, channels: 1, tile: true },
    { wide: true, channels: 1, tile: false },
    { wide: true, channels: 3, tile: true },
  ] as const)(
    '16 bits $wide, $channels channels, tiles $tile',
    async ({ wide, channels, tile }) => {
      const [columns, rows] = [70, 45];
      const values = pattern(columns * rows * channels, wide ? 65536 : 256);
      const space = channels === 3 ? (wide ? 'rgb16' : 'srgb') : wide ? 'grey16' : 'b-w';
      for (const predictor of ['none', 'horizontal'] as const) {
        await sharp((wide ? Uint16Array : Uint8Array).from(values), {
          raw: { width: columns, height: rows, channels },
        })
          .toColourspace(space)
          .tiff({ compression, predictor, tile, tileWidth: 32, tileHeight: 16 })
          .toFile(at('theirs.tif'));
        const picture = await readChannels(at('theirs.tif'));
        expect(picture).toMatchObject({ width: columns, height: rows, channels });
        expect([...picture.data]).toEqual(values);
      }
    },
  );
});

describe('grey, colours and palettes', () => {
  it('reads 1-bit masks, whichever of black and white is zero', async () => {
    const mask = pattern(width * height, 2, 3);
    for (const miniswhite of [false, true]) {
      await sharp(
        Uint8Array.from(mask, (v) => v * 255),
        { raw: { width, height, channels: 1 } },
      )
        .toColourspace('b-w')
        .tiff({ bitdepth: 1, miniswhite, compression: 'deflate', predictor: 'none' })
        .toFile(at('mask.tif'));
      expect([...(await readLabels(at('mask.tif'))).data]).toEqual(mask);
    }
  });

  it('reads palettes: indices as labels, colours as pictures', async () => {
    const map = pattern(48, 256, 37).map((v) => v * 257);
    const tags = { width: 4, height: 2, bits: [4], photometric: 3, more: { 320: map } };
    writeTiff(at('palette.tif'), tags, Buffer.from([0x01, 0x23, 0x4f, 0x50]));
    const indices = [0, 1, 2, 3, 4, 15, 5, 0];
    const labels = await readLabels(at('palette.tif'));
    expect([...labels.data]).toEqual(indices);
    const colourOf = (k: number) => [0, 16, 32].map((channel) => map[channel + k]! / 257);
    expect([...labels.palette!.subarray(45)]).toEqual(colourOf(15));
    const { data } = await readColour(at('palette.tif'));
    expect([...data]).toEqual(indices.flatMap(colourOf));
  });

  it('names what it does not read', async () => {
    const refused: [Parameters<typeof writeTiff>[1], string][] = [
      [{ width: 2, height: 2, bits: [8], more: { 259: [50000] } }, 'with Zstandard compression'],
      [{ width: 2, height: 2, bits: [8], photometric: 32803 }, 'of raw sensor data'],
      [{ width: 2, height: 2, bits: [12] }, 'of 12-bit uint numbers'],
      [{ width: 2, height: 2, bits: [8, 8, 8, 8], photometric: 5 }, 'of CMYK'],
      [{ width: 2, height: 2, bits: [64], format: 6 }, 'of 64-bit complex numbers'],
      [{ width: 2, height: 2, bits: [8, 16] }, 'whose channels are of different types'],
    ];
    for (const [tags, found] of refused) {
      writeTiff(at('other.tif'), tags, Buffer.alloc(64));
      const expected = {
        code: 'M3L_IMAGE_FORMAT',
        message: expect.stringContaining(`other.tif: found a TIFF file ${found}`),
      };
      await expect(readHeader(at('other.tif'))).rejects.toMatchObject(expected);
      await expect(readGrey(at('other.tif'))).rejects.toMatchObject(expected);
    }
    writeTiff(
      at('white.tif'),
      { width: 2, height: 2, bits: [64], photometric: 0 },
      Buffer.alloc(64),
    );
    await expect(readGrey(at('white.tif'))).rejects.toThrow('of uint64 whose white is zero');
    const pages = { raw: { width: 2, height: 4, channels: 3, pageHeight: 2 } } as const;
    await sharp(Buffer.alloc(24), pages).tiff().toFile(at('pages.tif'));
    await expect(readColour(at('pages.tif'))).rejects.toThrow('of several pages');
  });

  it('turns a file with an orientation', async () => {
    const tags = { width: 3, height: 2, bits: [8], more: { 274: [6] } };
    writeTiff(at('turned.tif'), tags, Buffer.from([1, 2, 3, 4, 5, 6]));
    const picture = await readGrey(at('turned.tif'));
    expect(picture).toMatchObject({ width: 2, height: 3, orientation: 6 });
    expect([...picture.data]).toEqual([4, 1, 5, 2, 6, 3]);
  });
});

describe('damaged files', () => {
  it('are refused wherever they are cut, and whatever byte is changed', async () => {
    const whole = Buffer.from(written['float32 LZW predictor 3 big-endian']!, 'base64');
    const codes = ['M3L_IMAGE_CORRUPT', 'M3L_IMAGE_FORMAT'];
    for (let length = 4; length < whole.length - 4; length += 5) {
      writeFileSync(at('cut.tif'), whole.subarray(0, length));
      const error = await readGrey(at('cut.tif')).catch((caught: unknown) => caught);
      expect(codes).toContain((error as { code?: string }).code);
    }
    for (let place = 4; place < whole.length; place++) {
      const changed = Buffer.from(whole);
      changed[place]! ^= 0x81;
      writeFileSync(at('changed.tif'), changed);
      const result = await readGrey(at('changed.tif')).catch((caught: unknown) => caught);
      if (result instanceof Error) expect(codes).toContain((result as { code?: string }).code);
    }
  });

  it('claim no more memory than they can fill', async () => {
    const tags = { width: 16384, height: 16384, bits: [32], format: 3, more: { 259: [8] } };
    writeTiff(at('bomb.tif'), tags, Buffer.alloc(1000));
    await expect(readGrey(at('bomb.tif'))).rejects.toThrow('the pixel data ends too early');
    writeTiff(at('huge.tif'), { ...tags, width: 2 ** 31 }, Buffer.alloc(1000));
    await expect(readHeader(at('huge.tif'))).rejects.toThrow('2147483648 × 16384 pixels');
  });
});
