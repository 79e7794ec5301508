import { useMemo } from 'preact/hooks';
import type { ClassMap } from './ask.js';

const VOID = 255;

export type Rgb = readonly [number, number, number];

export function rgbOf(hex: string): Rgb {
  const value = Number.parseInt(hex.slice(1), 16);
  return [(value >> 16) & 255, (value >> 8) & 255, value & 255];
}

/** A pixel as image data holds it, of bytes in the order red, green, blue, opacity. */
function pixelOf([red, green, blue]: Rgb, opacity: number): number {
  const [pixel] = new Uint32Array(Uint8ClampedArray.of(red, green, blue, opacity).buffer);
  return pixel!;
}

/** The pixel of each class a map may hold. */
function pixelsOf(of: (found: number) => number): Uint32Array {
  return Uint32Array.from({ length: 256 }, (_, found) => of(found));
}

/** Classes in their colours; of one that is pointed at, the others fade. */
export function paintClasses(
  { classes, height, width }: ClassMap,
  colours: readonly Rgb[],
  only: number | null,
): HTMLCanvasElement {
  const pixels = pixelsOf((found) => {
    const colour = colours[found] ?? [0, 0, 0];
    const faded = only !== null && found !== only;
    const [red, green, blue] = colour.map((part) => (faded ? 40 + 0.18 * part : part));
    return pixelOf([red!, green!, blue!], found === VOID ? 110 : 255);
  });
  return painted(height, width, (out) => {
    for (let pixel = 0; pixel < out.length; pixel++) out[pixel] = pixels[classes[pixel]!]!;
  });
}

/** Classes in their colours, painted when they or the colours are others. */
export function usePainted(
  map: ClassMap | null,
  colours: readonly Rgb[],
  only: number | null,
): HTMLCanvasElement | null {
  return useMemo(() => map && paintClasses(map, colours, only), [map, colours, only]);
}

/** Where a prediction is wrong, in the colour of what it says; what is right is faint. */
export function paintErrors(
  label: ClassMap,
  prediction: ClassMap,
  colours: readonly Rgb[],
): HTMLCanvasElement {
  const { height, width } = label;
  const wrong = pixelsOf((said) => pixelOf(colours[said] ?? [0, 0, 0], 255));
  const right = pixelOf([22, 22, 22], 215);
  return painted(height, width, (out) => {
    for (let pixel = 0; pixel < out.length; pixel++) {
      const [truth, said] = [label.classes[pixel]!, prediction.classes[pixel]!];
      out[pixel] = truth === said || truth === VOID ? right : wrong[said]!;
    }
  });
}

/** White where two predictions differ. */
export function paintChanges(one: ClassMap, other: ClassMap): HTMLCanvasElement {
  const white = pixelOf([255, 255, 255], 255);
  return painted(one.height, one.width, (out) => {
    for (let pixel = 0; pixel < out.length; pixel++) {
      out[pixel] = one.classes[pixel] === other.classes[pixel] ? 0 : white;
    }
  });
}

function painted(
  height: number,
  width: number,
  paint: (pixels: Uint32Array) => void,
): HTMLCanvasElement {
  const canvas = document.createElement('canvas');
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext('2d')!;
  const image = context.createImageData(width, height);
  paint(new Uint32Array(image.data.buffer));
  context.putImageData(image, 0, 0);
  return canvas;
}
