/** Decoded images: values as they are stored, whatever their type. */

/** The values of a picture in the type that its file stores. */
export type PictureData =
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | Int16Array
  | Int32Array
  | Float32Array
  | Float64Array;

/** A decoded image, row-major with interleaved channels, upright (see `orientation`). */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  readonly data: PictureData;
  /** The colours of a palette image that was read as its indices: red, green, blue of each index. */
  readonly palette?: Uint8Array;
  /** The EXIF orientation that was applied, 2 to 8; absent where the file says none, or 1. */
  readonly orientation?: number;
}

/** The type of a picture's values. Integers of 8 bits with a sign become int16, of 64 bits int32. */
export type PictureDepth =
  | 'uint8'
  | 'uint16'
  | 'uint32'
  | 'int16'
  | 'int32'
  | 'float32'
  | 'float64';

/** What a file says of its image before a pixel is decoded. */
export interface PictureHeader {
  /** What the format is called in messages, e.g. `PNG`. */
  readonly format: string;
  /** Upright, as `Picture` is. */
  readonly width: number;
  readonly height: number;
  /** Samples a pixel, alpha among them; 1 for a palette image. */
  readonly channels: number;
  readonly depth: PictureDepth;
  readonly colour: 'grey' | 'rgb' | 'palette' | 'other';
  /** Whether the last channel is alpha. */
  readonly alpha: boolean;
  /** EXIF orientation, 1 to 8. Width and height are those after it was applied. */
  readonly orientation: number;
}

/** An array of the same type. */
export function emptyLike<T extends PictureData>(data: T, length: number): T {
  return new (data.constructor as new (length: number) => T)(length);
}

/** Whether the values are integers by their type. */
export function isInteger(data: PictureData): boolean {
  return !(data instanceof Float32Array || data instanceof Float64Array);
}

/** The chosen channels of a picture, in their order; `[0, 0, 0]` repeats grey. */
export function pickChannels<P extends Picture>(picture: P, chosen: readonly number[]): P {
  const { data, channels } = picture;
  const count = picture.width * picture.height;
  const out = emptyLike(data, count * chosen.length);
  for (let pixel = 0, to = 0; pixel < count; pixel++) {
    for (const channel of chosen) out[to++] = data[pixel * channels + channel]!;
  }
  return { ...picture, channels: chosen.length, data: out };
}

/** Whether orientations from 5 swap width and height. */
export function swapsSides(orientation: number): boolean {
  return orientation >= 5;
}

/** The picture as EXIF says to show it: orientation 1 to 8. */
export function upright<P extends Picture>(picture: P, orientation: number): P {
  if (orientation === 1) return picture;
  const { width, height, channels, data } = picture;
  const swap = swapsSides(orientation);
  const [columns, rows] = swap ? [height, width] : [width, height];
  // Which of the stored sides runs backwards in the upright picture.
  const right = [2, 3, 7, 8].includes(orientation);
  const bottom = [3, 4, 6, 7].includes(orientation);
  const out = emptyLike(data, data.length);
  for (let row = 0, to = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const [x, y] = swap ? [row, column] : [column, row];
      const from = (bottom ? height - 1 - y : y) * width + (right ? width - 1 - x : x);
      for (let c = 0; c < channels; c++) out[to++] = data[from * channels + c]!;
    }
  }
  return { ...picture, width: columns, height: rows, data: out, orientation };
}
