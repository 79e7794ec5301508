import sharp from 'sharp';
import {
  type Colour,
  kindOf,
  type ModalitySpec,
  normalisationOf,
  VOID_COLOUR,
} from '../data/index.js';
import { modalitySpecShape } from '../data/rules.js';
import { checkArguments } from '../torch/check-arguments.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import * as is from '../torch/rules.js';
import { ADVANCE, GLYPH_HEIGHT, GLYPH_WIDTH, inks } from './bitmap-font.js';

/** An RGB image of 8 bits, rows from the top. */
export class Picture {
  readonly pixels: Uint8Array;

  constructor(
    readonly width: number,
    readonly height: number,
    background: Colour = [255, 255, 255],
  ) {
    checkArguments(
      'Picture',
      { width, height, background },
      { width: is.size, height: is.size, background: is.list },
    );

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

/** An input [3, H, W] as its kind is drawn: colours as they looked, depth its own range in viridis. */
export function modalityPicture(input: Tensor, spec: ModalitySpec): Picture {
  checkArguments('modalityPicture', { input, spec }, { input: is.tensor, spec: modalitySpecShape });

  const { channels, paint } = kindOf(spec);
  const [height, width] = input.shape.slice(-2) as [number, number];
  const picture = new Picture(width, height);
  const values = floats(input).subarray(0, channels * height * width);
  picture.pixels.set(paint(values, normalisationOf(spec)));
  return picture;
}

/** Classes [H, W] in their colours; 255 is black. */
export function classPicture(classes: Tensor, colours: readonly Colour[]): Picture {
  const values = torch.scope(() => classes.to({ dtype: 'uint8', device: 'cpu' }).toTypedArray());
  const [height, width] = classes.shape.slice(-2) as [number, number];
  const picture = new Picture(width, height);
  for (let at = 0; at < width * height; at++) {
    picture.pixels.set(colours[Number(values[at])] ?? VOID_COLOUR, at * 3);
  }
  return picture;
}

/** Width in pixels that `write` takes. */
export function textWidth(text: string): number {
  checkArguments('textWidth', { text }, { text: is.text });
  return text.length * ADVANCE;
}

function floats(tensor: Tensor): Float32Array {
  return torch.scope(
    () => tensor.to({ dtype: 'float32', device: 'cpu' }).toTypedArray() as Float32Array,
  );
}
