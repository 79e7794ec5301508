import type { ClassMap } from './ask.js';

const VOID = 255;

export type Rgb = readonly [number, number, number];

export function rgbOf(hex: string): Rgb {
  const value = Number.parseInt(hex.slice(1), 16);
  return [(value >> 16) & 255, (value >> 8) & 255, value & 255];
}

/** Classes in their colours; of one that is pointed at, the others fade. */
export function paintClasses(
  { classes, height, width }: ClassMap,
  colours: readonly Rgb[],
  only: number | null,
): HTMLCanvasElement {
  return painted(height, width, (pixel, out) => {
    const found = classes[pixel]!;
    const colour = colours[found] ?? [0, 0, 0];
    const faded = only !== null && found !== only;
    for (let c = 0; c < 3; c++) out[c] = faded ? 40 + 0.18 * colour[c]! : colour[c]!;
    out[3] = found === VOID ? 110 : 255;
  });
}

/** Where a prediction is wrong, in the colour of what it says; what is right is faint. */
export function paintErrors(
  label: ClassMap,
  prediction: ClassMap,
  colours: readonly Rgb[],
): HTMLCanvasElement {
  const { height, width } = label;
  return painted(height, width, (pixel, out) => {
    const [truth, said] = [label.classes[pixel]!, prediction.classes[pixel]!];
    const colour = colours[said] ?? [0, 0, 0];
    const right = truth === said || truth === VOID;
    for (let c = 0; c < 3; c++) out[c] = right ? 22 : colour[c]!;
    out[3] = right ? 215 : 255;
  });
}

/** White where two predictions differ. */
export function paintChanges(one: ClassMap, other: ClassMap): HTMLCanvasElement {
  return painted(one.height, one.width, (pixel, out) => {
    out.fill(255);
    out[3] = one.classes[pixel] === other.classes[pixel] ? 0 : 255;
  });
}

function painted(
  height: number,
  width: number,
  paint: (pixel: number, out: Uint8ClampedArray) => void,
): HTMLCanvasElement {
  const canvas = document.createElement('canvas');
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext('2d')!;
  const image = context.createImageData(width, height);
  for (let pixel = 0; pixel < height * width; pixel++) {
    paint(pixel, image.data.subarray(4 * pixel, 4 * pixel + 4));
  }
  context.putImageData(image, 0, 0);
  return canvas;
}
