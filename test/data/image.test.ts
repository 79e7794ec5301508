import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Random, readColour, readGrey, readHeader, readLabels, readPlane } from 'm3l/data';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { pattern, temporaryFolder, writeColour, writeGrey, writePng } from './fixtures.js';

const folder = temporaryFolder();
const at = (name: string) => join(folder, name);
const [width, height] = [7, 5];

describe('readColour', () => {
  it('gives 8-bit PNG pixels as stored', async () => {
    const values = pattern(width * height * 3, 256);
    await writeColour(at('c.png'), width, height, values);
    const picture = await readColour(at('c.png'));
    expect(picture).toMatchObject({ width, height, channels: 3 });
    expect([...picture.data]).toEqual(values);
  });

  it('reads JPEG close to what was written', async () => {
    await sharp({ create: { width: 16, height: 16, channels: 3, background: '#c86432' } })
      .jpeg({ quality: 95 })
      .toFile(at('c.jpg'));
    const { data } = await readColour(at('c.jpg'));
    for (const [c, expected] of [200, 100, 50].entries()) {
      expect(Math.abs(data[3 * 100 + c]! - expected)).toBeLessThanOrEqual(3);
    }
  });

  it('repeats grey and drops alpha', async () => {
    const values = pattern(width * height, 256);
    await writeGrey(at('g.png'), width, height, values);
    expect([...(await readColour(at('g.png'))).data]).toEqual(values.flatMap((v) => [v, v, v]));
    const rgba = pattern(width * height * 4, 256);
    await sharp(Uint8Array.from(rgba), { raw: { width, height, channels: 4 } }).toFile(at('a.png'));
    expect([...(await readColour(at('a.png'))).data]).toEqual(rgba.filter((_, i) => i % 4 !== 3));
  });

  it('keeps 16 bits, and reads them as [0, 1]', async () => {
    const values = pattern(width * height * 3, 65536);
    await sharp(Uint16Array.from(values), { raw: { width, height, channels: 3 } })
      .toColourspace('rgb16')
      .toFile(at('c16.png'));
    const picture = await readColour(at('c16.png'));
    expect([...picture.data]).toEqual(values);
    expect((await readPlane({ name: 'rgb', kind: 'rgb' }, at('c16.png'))).divisor).toBe(65535);
  });

  it.each([8, 16].flatMap((bits) => [0, 1, 2, 3, 4].map((filter) => ({ bits, filter }))))(
    'undoes row filter $filter of $bits bits',
    async ({ bits, filter }) => {
      // A slope in each channel beside noise, so that each of the neighbours is the nearest somewhere.
      const noise = pattern(width * height * 3, 2 ** bits, 1873);
      const values = noise.map((v, i) => (i % 21 < 12 ? 40 * (i % 3) + i : v));
      writePng(at('f3.png'), width, height, values, { bits, filter, colourType: 2 });
      expect([...(await readColour(at('f3.png'))).data]).toEqual(values);
      const space = bits === 16 ? 'rgb16' : 'srgb';
      const depth = bits === 16 ? 'ushort' : 'uchar';
      const theirs = await sharp(at('f3.png')).toColourspace(space).raw({ depth }).toBuffer();
      const { buffer } = new Uint8Array(theirs);
      expect([...(bits === 16 ? new Uint16Array(buffer) : theirs)]).toEqual(values);
    },
  );

  it('undoes filters that change from row to row, in pictures of any width', async () => {
    const random = new Random(3);
    for (let round = 0; round < 60; round++) {
      const [columns, rows] = [1 + random.integer(40), 1 + random.integer(12)];
      const bits = random.chance(0.5) ? 8 : 16;
      const filter = Array.from({ length: rows }, () => random.integer(5));
      const values = Array.from({ length: columns * rows * 3 }, () => random.integer(2 ** bits));
      writePng(at('any.png'), columns, rows, values, { bits, filter, colourType: 2 });
      expect([...(await readColour(at('any.png'))).data]).toEqual(values);
      const grey = values.slice(0, columns * rows);
      writePng(at('any.png'), columns, rows, grey, { bits, filter, colourType: 0 });
      expect([...(await readGrey(at('any.png'))).data]).toEqual(grey);
    }
  });

  it('reads an interlaced PNG', async () => {
    const values = pattern(width * height * 3, 256);
    await sharp(Uint8Array.from(values), { raw: { width, height, channels: 3 } })
      .png({ progressive: true })
      .toFile(at('interlaced.png'));
    expect([...(await readColour(at('interlaced.png'))).data]).toEqual(values);
  });

  it('ignores colour profiles', async () => {
    const values = pattern(width * height * 3, 256);
    await sharp(Uint8Array.from(values), { raw: { width, height, channels: 3 } })
      .withIccProfile('p3', { attach: true })
      .png()
      .toFile(at('profile.png'));
    const stored = await sharp(at('profile.png'), { ignoreIcc: true }).raw().toBuffer();
    expect([...(await readColour(at('profile.png'))).data]).toEqual([...stored]);
  });
});

describe.each(['png', 'jpg', 'webp'] as const)('EXIF orientation in %s', (format) => {
  it.each([1, 2, 3, 4, 5, 6, 7, 8])('%i is applied as viewers do', async (orientation) => {
    const values = pattern(width * height * 3, 256);
    const name = at(`turned-${orientation}.${format}`);
    await sharp(Uint8Array.from(values), { raw: { width, height, channels: 3 } })
      .withMetadata({ orientation })
      .toFile(name);
    const viewed = await sharp(name).autoOrient().raw().toBuffer({ resolveWithObject: true });
    const picture = await readColour(name);
    expect([picture.width, picture.height]).toEqual([viewed.info.width, viewed.info.height]);
    expect(picture.orientation).toBe(orientation === 1 ? undefined : orientation);
    expect([...picture.data]).toEqual([...viewed.data]);
    const header = await readHeader(name);
    expect(header).toMatchObject({ width: picture.width, height: picture.height, orientation });
  });
});

describe('readGrey', () => {
  it('keeps every 16-bit value', async () => {
    const values = pattern(width * height, 65536, 1873);
    await writeGrey(at('d16.png'), width, height, values, 16);
    const picture = await readGrey(at('d16.png'));
    expect(picture.data).toBeInstanceOf(Uint16Array);
    expect([...picture.data]).toEqual(values);
  });

  it('reads 8-bit values', async () => {
    const values = pattern(width * height, 256);
    await writeGrey(at('d8.png'), width, height, values);
    expect([...(await readGrey(at('d8.png'))).data]).toEqual(values);
  });

  it.each([8, 16].flatMap((bits) => [0, 1, 2, 3, 4].map((filter) => ({ bits, filter }))))(
    'undoes row filter $filter of $bits bits',
    async ({ bits, filter }) => {
      // Smooth beside noisy, so that each of the neighbours is the nearest one somewhere.
      const noise = pattern(width * height, 2 ** bits, 1873);
      const values = noise.map((v, i) => (i % width < 4 ? 3 * i : v));
      writePng(at('f.png'), width, height, values, { bits, filter, colourType: 0 });
      expect([...(await readGrey(at('f.png'))).data]).toEqual(values);
      const space = bits === 16 ? 'grey16' : 'b-w';
      const depth = bits === 16 ? 'ushort' : 'uchar';
      const theirs = await sharp(at('f.png')).toColourspace(space).raw({ depth }).toBuffer();
      const { buffer } = new Uint8Array(theirs);
      expect([...(bits === 16 ? new Uint16Array(buffer) : theirs)]).toEqual(values);
    },
  );

  it('reads pixel data in several chunks, and refuses damaged ones', async () => {
    const values = pattern(300 * 200, 65536, 40503);
    await writeGrey(at('big.png'), 300, 200, values, 16);
    const bytes = readFileSync(at('big.png'));
    expect(bytes.toString('latin1').split('IDAT').length).toBeGreaterThan(2);
    expect([...(await readGrey(at('big.png'))).data]).toEqual(values);
    bytes[Math.floor(bytes.length / 2)]! ^= 1;
    writeFileSync(at('big.png'), bytes);
    await expect(readGrey(at('big.png'))).rejects.toMatchObject({ code: 'M3L_IMAGE_CORRUPT' });
  });

  it('refuses a colour image, saying what to do', async () => {
    await writeColour(at('wrong.png'), width, height, pattern(width * height * 3, 256));
    await expect(readGrey(at('wrong.png'))).rejects.toMatchObject({
      code: 'M3L_IMAGE_FORMAT',
      message: expect.stringMatching(/wrong\.png: found 3 channels, expected one .*Declare/),
    });
  });
});

describe('readLabels', () => {
  it('reads grey labels of 8 and 16 bits', async () => {
    const values = pattern(width * height, 200);
    await writeGrey(at('l8.png'), width, height, values);
    await writeGrey(at('l16.png'), width, height, values, 16);
    expect([...(await readLabels(at('l8.png'))).data]).toEqual(values);
    expect([...(await readLabels(at('l16.png'))).data]).toEqual(values);
  });

  it.each([
    { bits: 8, colourType: 3, filter: 0 },
    { bits: 8, colourType: 3, filter: 1 },
    { bits: 8, colourType: 3, filter: 2 },
    { bits: 8, colourType: 3, filter: 3 },
    { bits: 8, colourType: 3, filter: 4 },
    { bits: 4, colourType: 3, filter: 2 },
    { bits: 2, colourType: 3, filter: 0 },
    { bits: 1, colourType: 0, filter: 4 },
    { bits: 4, colourType: 0, filter: 1 },
  ])('reads indices, not colours: $bits bits, type $colourType, filter $filter', async (format) => {
    const values = pattern(width * height, 2 ** format.bits);
    writePng(at('p.png'), width, height, values, format);
    expect([...(await readLabels(at('p.png'))).data]).toEqual(values);
    // The same file as a picture, to know that the hand-written PNG is a good one.
    await expect(sharp(at('p.png')).raw().toBuffer()).resolves.toBeDefined();
  });

  it('gives colours as three channels, grey that is stored as colour as one', async () => {
    const values = pattern(width * height * 3, 256);
    await writeColour(at('lc.png'), width, height, values);
    const colours = await readLabels(at('lc.png'));
    expect(colours.channels).toBe(3);
    expect([...colours.data]).toEqual(values);
    const grey = pattern(width * height, 256);
    await writeColour(
      at('lg.png'),
      width,
      height,
      grey.flatMap((v) => [v, v, v]),
    );
    const labels = await readLabels(at('lg.png'));
    expect(labels.channels).toBe(1);
    expect([...labels.data]).toEqual(grey);
  });

  it('refuses JPEG', async () => {
    await writeGrey(at('l.jpg'), width, height, pattern(width * height, 4));
    await expect(readLabels(at('l.jpg'))).rejects.toMatchObject({
      code: 'M3L_LABEL_FORMAT',
      message: expect.stringContaining('l.jpg: found a JPEG file'),
    });
  });
});

describe('files that cannot be read', () => {
  it('names a missing file', async () => {
    await expect(readColour(at('none.png'))).rejects.toMatchObject({
      code: 'M3L_IMAGE_MISSING',
      message: expect.stringMatching(
        /none\.png: cannot be read \(ENOENT\).*the folder that its paths/,
      ),
    });
  });

  it.each(['png', 'jpg'])('refuses a truncated %s at any length', async (format) => {
    await writeColour(at(`whole.${format}`), 64, 64, pattern(64 * 64 * 3, 251));
    const bytes = readFileSync(at(`whole.${format}`));
    for (const share of [0, 0.01, 0.3, 0.9, 0.99]) {
      writeFileSync(at(`cut.${format}`), bytes.subarray(0, Math.floor(bytes.length * share)));
      await expect(readColour(at(`cut.${format}`))).rejects.toMatchObject({
        code: 'M3L_IMAGE_CORRUPT',
        message: expect.stringMatching(/cut\.\w+: cannot be decoded .*expected a whole/),
      });
    }
    writeFileSync(at(`cut.${format}`), bytes.subarray(0, bytes.length - 4));
    await expect(readColour(at(`cut.${format}`))).rejects.toThrow('cannot be decoded');
  });

  it('refuses truncated depth, truncated labels, and text', async () => {
    await writeGrey(at('whole16.png'), 64, 64, pattern(64 * 64, 65536), 16);
    const bytes = readFileSync(at('whole16.png'));
    writeFileSync(at('cut16.png'), bytes.subarray(0, bytes.length >> 1));
    writeFileSync(at('text.png'), 'this is not an image');
    writePng(at('whole-p.png'), 64, 64, pattern(64 * 64, 13), { bits: 4 });
    const indexed = readFileSync(at('whole-p.png'));
    writeFileSync(at('cut-p.png'), indexed.subarray(0, indexed.length - 40));
    const code = 'M3L_IMAGE_CORRUPT';
    await expect(readGrey(at('cut16.png'))).rejects.toMatchObject({ code });
    await expect(readLabels(at('cut16.png'))).rejects.toMatchObject({ code });
    await expect(readLabels(at('cut-p.png'))).rejects.toMatchObject({ code });
    await expect(readLabels(at('text.png'))).rejects.toMatchObject({ code });
    await expect(readGrey(at('text.png'))).rejects.toMatchObject({ code });
  });

  it('refuses a row filter that there is not', async () => {
    const values = pattern(width * height, 256);
    writePng(at('odd.png'), width, height, values, { filter: [0, 1, 5, 0, 0], colourType: 0 });
    await expect(readGrey(at('odd.png'))).rejects.toMatchObject({
      code: 'M3L_IMAGE_CORRUPT',
      message: expect.stringMatching(/odd\.png: cannot be decoded \(unknown row filter 5\)/),
    });
  });
});

describe('readPlane', () => {
  it('reads depth between its least and greatest value', async () => {
    await writeGrey(at('mm.png'), 3, 1, [1000, 1500, 3000], 16);
    const plane = await readPlane({ name: 'depth', kind: 'depth' }, at('mm.png'));
    expect([plane.offset, plane.divisor]).toEqual([1000, 2000]);
  });

  it('reads a constant depth as zeros', async () => {
    await writeGrey(at('flat.png'), 3, 1, [500, 500, 500], 16);
    const plane = await readPlane({ name: 'depth', kind: 'depth' }, at('flat.png'));
    expect([...plane.data].map((v) => (v - plane.offset) / plane.divisor)).toEqual([0, 0, 0]);
  });

  it('leaves an invalid value out of the range where asked to', async () => {
    await writeGrey(at('holes.png'), 3, 1, [0, 1000, 3000], 16);
    const spec = { name: 'depth', kind: 'depth' } as const;
    expect(await readPlane(spec, at('holes.png'))).toMatchObject({ offset: 0, divisor: 3000 });
    const plane = await readPlane({ ...spec, invalid: 0 }, at('holes.png'));
    expect(plane).toMatchObject({ offset: 1000, divisor: 2000, invalid: 0 });
  });

  it.each([8, 16] as const)('finds the range of %i bits, whatever is invalid', async (bits) => {
    const values = pattern(99, 251, 89).map((v) => v + 2);
    await writeGrey(at('range.png'), 33, 3, values, bits);
    for (const invalid of [undefined, 2, 252, 100, 0, 300, 70000, -1, 99.5]) {
      const rest = values.filter((v) => v !== invalid);
      const spec = { name: 'depth', kind: 'depth', invalid } as const;
      expect(await readPlane(spec, at('range.png'))).toMatchObject({
        offset: Math.min(...rest),
        divisor: Math.max(...rest) - Math.min(...rest),
      });
    }
    await writeGrey(at('void.png'), 33, 3, new Uint16Array(99).fill(7), bits);
    const nothing = { name: 'depth', kind: 'depth', invalid: 7 } as const;
    expect(await readPlane(nothing, at('void.png'))).toMatchObject({
      offset: 0,
      divisor: Infinity,
    });
  });
});
