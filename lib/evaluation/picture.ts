import sharp from 'sharp';
import { type Colour, type Normalisation, VOID_COLOUR, viridis } from '../data/index.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { ADVANCE, GLYPH_HEIGHT, GLYPH_WIDTH, inks } from './bitmap-font.js';

/** An RGB image of 8 bits, rows from the top. */
export class Picture {
  readonly pixels: Uint8Array;

  constructor(
    readonly width: number,
    readonly height: number,
    background: Colour = [255, 255, 255],
  ) {
    this.pixels = new Uint8Array(width * height * 3);
    for (let at = 0; at < this.pixels.length; at += 3) this.pixels.set(background, at);
  }

  set(x: number, y: number, colour: Colour): void {
    if (x < 0 || y < 0 || x >= this.width || y >= this.height) return;
    this.pixels.set(colour, (y * this.width + x) * 3);
  }

  fill(x: number, y: number, width: number, height: number, colour: Colour): void {
    for (let row = y; row < y + height; row++) {
      for (let column = x; column < x + width; column++) this.set(column, row, colour);
    }
  }

  /** Draws `other`, its nearest pixels, into the box at (x, y). */
  draw(other: Picture, x: number, y: number, width = other.width, height = other.height): void {
    for (let row = 0; row < height; row++) {
      const from = Math.floor(((row + 0.5) * other.height) / height);
      for (let column = 0; column < width; column++) {
        const at = (from * other.width + Math.floor(((column + 0.5) * other.width) / width)) * 3;
        const [red, green, blue] = other.pixels.subarray(at, at + 3);
        this.set(x + column, y + row, [red!, green!, blue!]);
      }
    }
  }

  /** Writes printable ASCII, one line; (x, y) is the top left corner of the first letter. */
  write(text: string, x: number, y: number, colour: Colour = [30, 30, 30]): void {
    for (const [index, letter] of [...text].entries()) {
      for (let row = 0; row < GLYPH_HEIGHT; row++) {
        for (let column = 0; column < GLYPH_WIDTH; column++) {
          if (inks(letter, column, row)) this.set(x + index * ADVANCE + column, y + row, colour);
        }
      }
    }
  }

  png(): Promise<Buffer> {
    const { width, height } = this;
    return sharp(this.pixels, { raw: { width, height, channels: 3 } })
      .png()
      .toBuffer();
  }
}

/** A normalised RGB input [3, H, W] as it looked; see `normalisationOf`. */
export function rgbPicture(input: Tensor, { mean, std }: Normalisation): Picture {
  const values = floats(input);
  return painted(input, (at, plane) => {
    const channel = (c: 0 | 1 | 2) => byte((values[c * plane + at]! * std[c]! + mean[c]!) * 255);
    return [channel(0), channel(1), channel(2)];
  });
}

/** A depth input [3, H, W] (its first channel), its own range in viridis. */
export function depthPicture(input: Tensor): Picture {
  const values = floats(input.select(0, 0));
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  const range = high > low ? high - low : 1;
  return painted(input, (at) => viridis((values[at]! - low) / range));
}

/** Classes [H, W] in their colours; 255 is black. */
export function classPicture(classes: Tensor, colours: readonly Colour[]): Picture {
  const values = torch.scope(() => classes.to({ dtype: 'uint8', device: 'cpu' }).toTypedArray());
  return painted(classes, (at) => colours[Number(values[at])] ?? VOID_COLOUR);
}

/** Width in pixels that `write` takes. */
export function textWidth(text: string): number {
  return text.length * ADVANCE;
}

function painted(like: Tensor, colour: (at: number, plane: number) => Colour): Picture {
  const [height, width] = like.shape.slice(-2) as [number, number];
  const picture = new Picture(width, height);
  for (let at = 0; at < width * height; at++) {
    picture.pixels.set(colour(at, width * height), at * 3);
  }
  return picture;
}

function floats(tensor: Tensor): Float32Array {
  return torch.scope(
    () => tensor.to({ dtype: 'float32', device: 'cpu' }).toTypedArray() as Float32Array,
  );
}

function byte(value: number): number {
  return Math.min(Math.max(Math.round(value), 0), 255);
}
