/** The interface of the native addon m3l_image (binding/image): what is done to every pixel. */

type Pixels = Uint8Array | Uint16Array;
/** What a plane may hold. */
type PlaneValues = Pixels | Float32Array;
/** What a file may hold. */
type StoredValues = PlaneValues | Int16Array | Int32Array | Uint32Array | Float64Array;

export interface NativeImage {
  readonly interfaceVersion: number;
  /**
   * Undoes the row filters of a PNG in place: `count` rows of the filter's number and `stride` bytes
   * become rows without numbers. `step`: bytes from a value to its neighbour's; `wide`: values of 16
   * bits, which come out in the machine's order. Throws where a filter is unknown.
   */
  unfilter(rows: Uint8Array, count: number, stride: number, step: number, wide: boolean): void;
  /** [least, greatest] of the values that are not `hole` (−1: none is); [_, −1] where all are. */
  extremes(values: Pixels, hole: number): [number, number];
  /**
   * [least, greatest] of the values that are finite and none of `holes`; least is above greatest where
   * there is none.
   */
  measure(values: StoredValues, holes: Float64Array): [number, number];
  /** value − base, NaN for what `measure` leaves out. `out` may be `values`. */
  toFloats(values: StoredValues, base: number, holes: Float64Array, out: Float32Array): void;
  /**
   * What `table` holds for each value, 256 for none, in `out`, which may be `values`. Gives the index
   * of the first value that is none or beyond the table, or −1.
   */
  lookUp(values: Pixels, table: Uint16Array, out: Uint8Array): number;
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
    pixels: PlaneValues,
    columns: number,
    ...rest: [
      ...taps: [...across: Triple, ...down: Triple],
      ...window: Window,
      normalisation: Float32Array,
      out: Float32Array,
    ]
  ): void;
  /** The same of one channel. */
  sampleGrey(
    pixels: PlaneValues,
    columns: number,
    ...rest: [
      ...taps: [...across: Triple, ...down: Triple],
      ...window: Window,
      scale: number,
      level: number,
      out: Float32Array,
    ]
  ): void;
  /**
   * One channel at the crossings of `across` and `down`: ((value − offset) / divisor, kept within least
   * and greatest, − mean) / std. A hole, of floats NaN, and padding read as 0 does.
   */
  sampleDepth(
    pixels: PlaneValues,
    columns: number,
    across: Int32Array,
    down: Int32Array,
    ...rest: [
      ...window: Window,
      offset: number,
      divisor: number,
      least: number,
      greatest: number,
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
