/** The interface of the native addon m3l_image (binding/image): what is done to every pixel. */

type Pixels = Uint8Array | Uint16Array;

export interface NativeImage {
  /**
   * Undoes the row filters of a PNG in place: `count` rows of the filter's number and `stride` bytes
   * become rows without numbers. `step`: bytes from a value to its neighbour's; `wide`: values of 16
   * bits, which come out in the machine's order. Throws where a filter is unknown.
   */
  unfilter(rows: Uint8Array, count: number, stride: number, step: number, wide: boolean): void;
  /** [least, greatest] of the values that are not `hole` (−1: none is); [_, −1] where all are. */
  extremes(values: Pixels, hole: number): [number, number];
  /**
   * Raw label values to 0 .. `classes` − 1 and 255 in `out`, which may be `values`. Gives the index
   * of the first value that is neither, or −1.
   */
  toClasses(values: Pixels, classes: number, offset: number, out: Uint8Array): number;
  /**
   * Interleaved RGB to the planes of `out`, bilinear: the low and high taps and the latter's weight
   * across, then down; the window's left, top, width, height; three scales and three levels.
   */
  sampleColour(
    pixels: Pixels,
    columns: number,
    ...rest: [
      ...taps: [...across: Triple, ...down: Triple],
      ...window: Window,
      normalisation: Float32Array,
      out: Float32Array,
    ]
  ): void;
  /** One channel at the crossings of `across` and `down`: ((value − offset) / divisor − mean) / std. */
  sampleDepth(
    pixels: Pixels,
    columns: number,
    across: Int32Array,
    down: Int32Array,
    ...rest: [
      ...window: Window,
      offset: number,
      divisor: number,
      mean: number,
      std: number,
      hole: number,
      out: Float32Array,
    ]
  ): void;
  sampleLabels(
    pixels: Uint8Array,
    columns: number,
    across: Int32Array,
    down: Int32Array,
    ...rest: [...window: Window, padding: number, out: Uint8Array]
  ): void;
}

type Triple = [low: Int32Array, high: Int32Array, weight: Float32Array];
/** Where the picture begins in the output, and the output's size. */
export type Window = [left: number, top: number, width: number, height: number];
