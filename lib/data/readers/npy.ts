import { NPY_MAGIC, readNpyLayout } from '../../torch/files/npy-layout.js';
import { emptyLike, type Picture } from '../picture.js';
import { type ImageReader, type StoredHeader, UnsupportedImage } from './reader.js';
import { depthOf, type SampleType, sizeOf, toMachineOrder, valuesOf } from './samples.js';

interface NpyHeader extends StoredHeader {
  readonly type: SampleType;
  readonly littleEndian: boolean;
  /** Columns before rows: the first index runs fastest. */
  readonly fortran: boolean;
  /** Where the values begin. */
  readonly position: number;
}

/** NumPy's type characters. */
const TYPES: Readonly<Record<string, SampleType>> = {
  b1: 'uint8',
  u1: 'uint8',
  u2: 'uint16',
  u4: 'uint32',
  u8: 'uint64',
  i1: 'int8',
  i2: 'int16',
  i4: 'int32',
  i8: 'int64',
  f2: 'float16',
  f4: 'float32',
  f8: 'float64',
};

const MEND =
  'Save a numeric array of height × width, or height × width × channels, with numpy.save.';

/** NumPy arrays [height, width] or [height, width, channels] of any numeric type; three are RGB. */
export const npyReader: ImageReader<NpyHeader> = {
  name: '.npy',
  summary: 'numbers, height × width or height × width × channels',
  recognises: (start) => start.toString('latin1', 0, 6) === NPY_MAGIC,
  async header(file) {
    const layout = readNpyLayout(file.start, (reason) => new Error(reason));
    const { kind, descr, start: position, fortran } = layout;
    const type = kind !== null && Object.hasOwn(TYPES, kind) ? TYPES[kind] : undefined;
    if (!type) throw new UnsupportedImage(`a .npy file of ${descr.slice(0, 80)}`, MEND);
    const [height = 0, width = 0, channels] = sides(layout.shape);
    checkLength(file.size - position, height * width * (channels ?? 1) * sizeOf(type));
    return {
      format: '.npy',
      width,
      height,
      channels: channels ?? 1,
      depth: depthOf(type),
      colour: channels === 3 ? 'rgb' : (channels ?? 1) === 1 ? 'grey' : 'other',
      alpha: false,
      orientation: 1,
      type,
      littleEndian: !layout.bigEndian,
      fortran,
      position,
    };
  },
  async decode(bytes, { type, littleEndian, position, width, height, channels, fortran }) {
    const values = bytes.subarray(position);
    toMachineOrder(values, sizeOf(type), littleEndian);
    const picture = { width, height, channels, data: valuesOf(values, type) };
    return fortran ? rowsFirst(picture) : picture;
  },
};

function sides(found: readonly number[]): readonly number[] {
  const [height = 0, , channels = 1] = found;
  // [channels, height, width] is a common order, and would be read as a few rows of many channels.
  const planes = height <= 4 && channels > 16;
  if ((found.length === 2 || found.length === 3) && !planes) return found;
  throw new UnsupportedImage(`a .npy file of shape [${found.join(', ')}]`, MEND);
}

function checkLength(found: number, expected: number): void {
  if (found === expected) return;
  throw new Error(`${found} bytes of values, its shape says ${expected}`);
}

function rowsFirst(picture: Picture): Picture {
  const { width, height, channels, data } = picture;
  const out = emptyLike(data, data.length);
  for (let row = 0, to = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      for (let c = 0; c < channels; c++) out[to++] = data[row + height * (column + width * c)]!;
    }
  }
  return { ...picture, data: out };
}
