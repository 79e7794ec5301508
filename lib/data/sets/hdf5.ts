/** MATLAB files of version 7.3, which are HDF5. What is asked for is read, and no more. */

import { open } from 'node:fs/promises';
import { DataError } from '../errors.js';
import type { Picture } from '../picture.js';

type Library = typeof import('h5wasm/node').default;
type Opened = InstanceType<Library['File']>;
type Stored = InstanceType<Library['Dataset']>;

/** A part of a stored array, row-major; MATLAB's dimensions are the other way round. */
export interface StoredPart {
  readonly shape: readonly number[];
  readonly data: ArrayLike<number>;
}

/** Columns, as MATLAB's [height, width] is stored, to the rows of a picture. */
export function toPicture(
  { shape, data }: StoredPart,
  values: typeof Uint8Array | typeof Uint16Array = Uint8Array,
  meaning: (stored: number) => number = (stored) => stored,
): Picture {
  const [width = 0, height = 0] = shape;
  const rows = new values(width * height);
  for (let x = 0, from = 0; x < width; x++) {
    for (let y = 0; y < height; y++) rows[y * width + x] = meaning(data[from++]!);
  }
  return { width, height, channels: 1, data: rows };
}

const PACKAGE = 'h5wasm@0.10.3';

/** Opens a file. @throws DataError M3L_HDF5_MISSING, M3L_MAT_FORMAT */
export async function openHdf5(file: string): Promise<Hdf5File> {
  const library = await load(file);
  await library.ready;
  await checkSignature(file);
  let opened: Opened;
  try {
    opened = new library.File(file, 'r');
    // The library gives a file that it could not open a negative number, and no error.
    if (opened.file_id < 0n) throw new Error('it is no HDF5');
  } catch (error) {
    throw unreadable(file, (error as Error).message);
  }
  return new Hdf5File(file, opened, library);
}

export class Hdf5File {
  constructor(
    private readonly name: string,
    private readonly file: Opened,
    private readonly library: Library,
  ) {}

  /** The dimensions of an array. @throws DataError M3L_MAT_FORMAT */
  shape(path: string): readonly number[] {
    return this.dataset(path).shape ?? [];
  }

  /** What an array holds at one place of its first dimension. @throws DataError M3L_MAT_FORMAT */
  at(path: string, index: number): StoredPart {
    const dataset = this.dataset(path);
    const [, ...shape] = dataset.shape ?? [];
    const data = dataset.slice([
      [index, index + 1],
      ...shape.map((side) => [0, side] as [number, number]),
    ]);
    return { shape, data: this.numbers(path, data) };
  }

  /** The array that one entry of an array of references means. @throws DataError M3L_MAT_FORMAT */
  referenced(path: string, index: number): StoredPart {
    const dataset = this.dataset(path);
    const rank = dataset.shape?.length ?? 0;
    // MATLAB keeps a column of structs as [1, count] or [count, 1].
    const along = dataset.shape?.[0] === 1 ? rank - 1 : 0;
    const part = Array.from({ length: rank }, (_, axis): [number, number] =>
      axis === along ? [index, index + 1] : [0, 1],
    );
    const [reference] = dataset.slice(part) as unknown[];
    const target: unknown = this.file.dereference(reference as never);
    if (!(target instanceof this.library.Dataset)) {
      throw unreadable(this.name, `${path} holds no array at ${index}`);
    }
    return { shape: target.shape ?? [], data: this.numbers(path, target.value) };
  }

  close(): void {
    this.file.close();
  }

  private dataset(path: string): Stored {
    const found = this.file.get(path);
    if (found instanceof this.library.Dataset) return found;
    throw unreadable(this.name, `it has no array named ${path}`);
  }

  private numbers(path: string, data: unknown): ArrayLike<number> {
    if (ArrayBuffer.isView(data) && !(data instanceof BigInt64Array)) {
      return data as unknown as ArrayLike<number>;
    }
    throw unreadable(this.name, `${path} holds no numbers`);
  }
}

const SIGNATURE = Buffer.from('\x89HDF\r\n\x1a\n', 'latin1');
/** MATLAB's own header comes before. */
const PLACES = [0, 512];

/** The library writes pages about a file that is none. */
async function checkSignature(name: string): Promise<void> {
  const start = Buffer.alloc(PLACES.at(-1)! + SIGNATURE.length);
  try {
    const handle = await open(name);
    await handle.read(start, 0, start.length, 0).finally(() => handle.close());
  } catch (error) {
    throw unreadable(name, (error as Error).message);
  }
  if (PLACES.some((at) => start.subarray(at, at + SIGNATURE.length).equals(SIGNATURE))) return;
  throw unreadable(name, 'it is no HDF5');
}

async function load(file: string): Promise<Library> {
  try {
    return (await import('h5wasm/node')).default;
  } catch (error) {
    throw new DataError(
      'M3L_HDF5_MISSING',
      `${file}: found a MATLAB 7.3 file, which is HDF5, and no package to read it with. ` +
        `Install it beside m3l: npm install ${PACKAGE}`,
      { cause: error },
    );
  }
}

function unreadable(file: string, reason: string): DataError {
  return new DataError(
    'M3L_MAT_FORMAT',
    `${file}: cannot be read (${reason}), expected a MATLAB file of version 7.3. ` +
      'It may be truncated: copy or download it again.',
  );
}
