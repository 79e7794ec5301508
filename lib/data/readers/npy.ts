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

const MAGIC = '\x93NUMPY';

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
  recognises: (start) => start.toString('latin1', 0, 6) === MAGIC,
  async header(file) {
    const { text, position } = readText(file.start);
    const descr = /'descr'\s*:\s*'([<>|=])([a-zA-Z])(\d+)'/.exec(text);
    const order = /'fortran_order'\s*:\s*(True|False)/.exec(text)?.[1];
    const shape = /'shape'\s*:\s*\(([\d,\s]*)\)/.exec(text)?.[1];
    const type = descr ? TYPES[`${descr[2]}${descr[3]}`] : undefined;
    if (!type) {
      const what = /'descr'\s*:\s*('[^']*'|\[.*\])/.exec(text)?.[1] ?? 'an unknown type';
      throw new UnsupportedImage(`a .npy file of ${what.slice(0, 80)}`, MEND);
    }
    if (order === undefined || shape === undefined) throw new Error('its header is damaged');
    const [height = 0, width = 0, channels] = sides(shape);
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
      littleEndian: descr![1] !== '>',
      fortran: order === 'True',
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

function readText(start: Buffer): { text: string; position: number } {
  const wide = start[6]! > 1;
  const at = wide ? 12 : 10;
  if (start.length < at) throw new Error('the file ends within its header');
  const position = at + (wide ? start.readUInt32LE(8) : start.readUInt16LE(8));
  if (position > start.length) throw new Error('the file ends within its header');
  return { text: start.toString('latin1', at, position), position };
}

function sides(shape: string): number[] {
  const found = shape
    .split(',')
    .filter((side) => side.trim() !== '')
    .map(Number);
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
