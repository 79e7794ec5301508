import { deflateSync } from 'node:zlib';
import { checkArguments } from '../torch/check-arguments.js';
import { crc32 } from '../torch/crc32.js';
import { ArgumentError } from '../torch/errors.js';
import * as is from '../torch/rules.js';
import type { Colour } from './colours.js';

const SIGNATURE = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');

/**
 * A PNG whose pixels are class numbers and whose palette is the classes' colours: it looks as `colourise`
 * paints, and read as labels it gives the numbers back. Image libraries make palettes of their own.
 * Numbers without a colour are black.
 * @param classes [height, width]
 * @throws ArgumentError where `size` is not that of `classes`
 */
export function palettePng(
  classes: Uint8Array,
  size: readonly [number, number],
  colours: readonly Colour[],
): Buffer {
  checkArguments(
    'palettePng',
    { classes, size, colours },
    {
      classes: is.instance(Uint8Array),
      size: is.listOf(is.size),
      colours: is.listOf(is.listOf(is.finite)),
    },
  );
  const [height, width] = size;
  if (classes.length !== height * width) {
    throw new ArgumentError(
      `palettePng: classes has ${classes.length} numbers, expected ${height} · ${width}`,
    );
  }
  const rows = Buffer.alloc(height * (width + 1));
  for (let row = 0; row < height; row++) {
    rows.set(classes.subarray(row * width, (row + 1) * width), row * (width + 1) + 1);
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 3], 8);
  const palette = Buffer.alloc(768);
  for (const [index, colour] of colours.slice(0, 256).entries()) palette.set(colour, 3 * index);
  return Buffer.concat([
    SIGNATURE,
    ...chunk('IHDR', header),
    ...chunk('PLTE', palette),
    ...chunk('IDAT', deflateSync(rows, { level: 3 })),
    ...chunk('IEND', Buffer.alloc(0)),
  ]);
}

function chunk(type: string, body: Buffer): Buffer[] {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(body.length, 0);
  head.write(type, 4, 'latin1');
  const end = Buffer.alloc(4);
  end.writeUInt32BE(crc32(body, crc32(head.subarray(4))), 0);
  return [head, body, end];
}
