import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readChannels, readColour, readGrey, readHeader, readLabels } from 'm3l/data';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { pattern, temporaryFolder, writeColour, writeGrey } from '../fixtures.js';

const folder = temporaryFolder();
const at = (name: string) => join(folder, name);
const raw = (width: number, height: number, channels: 1 | 3) => ({
  raw: { width, height, channels },
});
const readers = [readColour, readGrey, readLabels, readChannels, readHeader];

describe('formats that are not read', () => {
  const bmp = Buffer.alloc(70);
  bmp.write('BM');
  const dicom = Buffer.alloc(200);
  dicom.write('DICM', 128);
  const files: [string, Buffer][] = [
    ['a BMP file', bmp],
    ['a Photoshop file (PSD)', Buffer.from('8BPS\0\x01')],
    ['a PFM file', Buffer.from('Pf\n2 2\n-1.0\n')],
    ['a PNM file', Buffer.from('P5\n2 2\n255\n')],
    ['an OpenEXR file', Buffer.from([0x76, 0x2f, 0x31, 0x01, 2, 0, 0, 0])],
    ['a DICOM file', dicom],
    ['an SVG file', Buffer.from('<?xml version="1.0"?>\n<svg width="16000" height="16000"/>')],
    ['a HEIC file', Buffer.from('\0\0\0\x18ftypheic\0\0\0\0')],
    ['a ZIP archive', Buffer.from('PK\x03\x04')],
    ['a Git LFS pointer', Buffer.from('version https://git-lfs.github.com/spec/v1\noid')],
    ['a web page', Buffer.from('<!DOCTYPE html><html>')],
  ];

  it.each(files)('%s', async (found, bytes) => {
    // The name tells nothing.
    writeFileSync(at('picture.png'), bytes);
    for (const reader of readers) {
      await expect(reader(at('picture.png'))).rejects.toMatchObject({
        code: 'M3L_IMAGE_FORMAT',
        message: expect.stringContaining(
          `picture.png: found ${found.replace(/ archive$/, ' archive (of which')}`,
        ),
      });
    }
  });

  it.each(['gif', 'avif'] as const)(
    '%s, which the image library would turn to RGB',
    async (name) => {
      await sharp(Buffer.alloc(300, 7), raw(10, 10, 3))
        .toFormat(name)
        .toFile(at(`x.${name}`));
      await expect(readColour(at(`x.${name}`))).rejects.toMatchObject({
        code: 'M3L_IMAGE_FORMAT',
        message: expect.stringMatching(
          /found an? (GIF|AVIF) file, expected PNG, .*Convert it to PNG/,
        ),
      });
    },
  );
});

describe('what is no regular file', () => {
  it('is not read', async () => {
    execFileSync('mkfifo', [at('fifo.png')]);
    mkdirSync(at('folder.png'));
    for (const [name, reason] of [
      ['/dev/zero', 'a device or a pipe'],
      [at('fifo.png'), 'a device or a pipe'],
      [at('folder.png'), 'a folder'],
      [at('nul\0.png'), 'ERR_INVALID_ARG_VALUE'],
    ] as const) {
      for (const reader of readers) {
        await expect(reader(name)).rejects.toMatchObject({
          code: 'M3L_IMAGE_MISSING',
          message: expect.stringContaining(reason),
        });
      }
    }
  });
});

describe('JPEG', () => {
  it('of CMYK becomes RGB by its colour profile', async () => {
    const colour = [200, 100, 50];
    const pixels = Buffer.from(Array.from({ length: 64 }, () => colour).flat());
    const cmyk = sharp(pixels, raw(8, 8, 3)).toColourspace('cmyk');
    await cmyk.clone().jpeg({ quality: 100 }).toFile(at('plain.jpg'));
    await cmyk.clone().withIccProfile('cmyk').jpeg({ quality: 100 }).toFile(at('profile.jpg'));
    for (const name of ['plain.jpg', 'profile.jpg']) {
      expect((await sharp(at(name)).metadata()).channels).toBe(4);
      expect(await readHeader(at(name))).toMatchObject({ channels: 3, colour: 'rgb' });
      const { data, channels } = await readColour(at(name));
      const theirs = await sharp(at(name)).toColourspace('srgb').raw().toBuffer();
      expect(channels).toBe(3);
      expect([...data]).toEqual([...theirs]);
      colour.forEach((value, c) => {
        expect(Math.abs(data[c]! - value)).toBeLessThan(16);
      });
    }
  });

  it('of grey is one channel', async () => {
    await writeGrey(at('grey.jpg'), 8, 8, new Uint8Array(64).fill(77));
    expect(await readHeader(at('grey.jpg'))).toMatchObject({ channels: 1, colour: 'grey' });
    expect([...(await readGrey(at('grey.jpg'))).data]).toEqual(Array(64).fill(77));
  });
});

describe('readHeader', () => {
  it.each(['png', 'jpg', 'webp', 'tiff'])('says of %s what the pixels are', async (extension) => {
    await writeColour(at(`h.${extension}`), 9, 4, pattern(108, 256));
    const { width, height, channels, data } = await readChannels(at(`h.${extension}`));
    const header = await readHeader(at(`h.${extension}`));
    expect(header).toMatchObject({ width, height, channels, colour: 'rgb', alpha: false });
    expect(`${header.depth}array`).toBe(data.constructor.name.toLowerCase());
  });
});

describe('.npy', () => {
  function npy(name: string, header: string, values: Buffer): string {
    const start = Buffer.from(`\x93NUMPY\x01\0\0\0${header.padEnd(117)}\n`, 'latin1');
    start.writeUInt16LE(start.length - 10, 8);
    writeFileSync(at(name), Buffer.concat([start, values]));
    return at(name);
  }
  const header = (descr: string, shape: string, fortran = 'False') =>
    `{'descr': ${descr}, 'fortran_order': ${fortran}, 'shape': (${shape}), }`;

  it('holds channels last, in either order of indices', async () => {
    const values = pattern(24, 60000);
    const c = npy(
      'c.npy',
      header("'<u2'", '2, 4, 3'),
      Buffer.from(Uint16Array.from(values).buffer),
    );
    const picture = await readColour(c);
    expect(picture).toMatchObject({ width: 4, height: 2, channels: 3 });
    expect([...picture.data]).toEqual(values);
    const columns = Array.from({ length: 24 }, (_, i) => {
      const [row, column, channel] = [i % 2, (i >> 1) % 4, i >> 3];
      return values[(row * 4 + column) * 3 + channel]!;
    });
    const bytes = Buffer.from(Uint16Array.from(columns).buffer).swap16();
    const f = npy('f.npy', header("'>u2'", '2, 4, 3', 'True'), bytes);
    expect([...(await readChannels(f)).data]).toEqual(values);
  });

  it("reads numpy's default integers as labels", async () => {
    const labels = [0, 1, 2, 255, -1, 7];
    const bytes = Buffer.from(BigInt64Array.from(labels.map(BigInt)).buffer);
    const { data } = await readLabels(npy('l.npy', header("'<i8'", '2, 3'), bytes));
    expect([...data]).toEqual(labels);
    bytes.writeBigInt64LE(2n ** 40n, 8);
    await expect(readLabels(npy('l.npy', header("'<i8'", '2, 3'), bytes))).rejects.toThrow(
      'the 64-bit integer 1099511627776 does not fit 32 bits',
    );
  });

  it.each([
    ["'|O'", '2, 2', 'M3L_IMAGE_FORMAT', "a .npy file of '|O'"],
    ["[('r', '<f4')]", '2, 2', 'M3L_IMAGE_FORMAT', "a .npy file of [('r', '<f4')]"],
    ["'<c8'", '2, 2', 'M3L_IMAGE_FORMAT', "a .npy file of '<c8'"],
    ["'<f4'", '4', 'M3L_IMAGE_FORMAT', 'a .npy file of shape [4]'],
    ["'<f4'", '3, 480, 640', 'M3L_IMAGE_FORMAT', 'of shape [3, 480, 640], expected'],
    ["'<f4'", '2, 3', 'M3L_IMAGE_CORRUPT', '16 bytes of values, its shape says 24'],
    ["'<f4'", '99999999, 99999999', 'M3L_IMAGE_CORRUPT', '16 bytes of values, its shape says'],
  ])('refuses %s of shape %s', async (descr, shape, code, message) => {
    const file = npy('bad.npy', header(descr, shape), Buffer.alloc(16));
    if (message.endsWith('expected')) {
      await expect(readGrey(file)).rejects.toMatchObject({ code });
    }
    await expect(readGrey(file)).rejects.toThrow(message);
  });
});
