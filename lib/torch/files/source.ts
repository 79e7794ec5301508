/**
 * How files are read: a reader is a generator that says which bytes it wants next, so that one reader
 * serves a caller that waits and one that does not.
 */
import {
  closeSync,
  constants,
  fstat,
  fstatSync,
  open,
  openSync,
  read,
  readSync,
  type Stats,
} from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { promisify } from 'node:util';
import { inflateRaw, inflateRawSync } from 'node:zlib';
import { describe, isSystemError, M3lError } from '../errors.js';
import { requireText } from '../require.js';

/** Fill `into` with the file's bytes from `at` on. */
export interface ReadRequest {
  readonly at: number;
  readonly into: Uint8Array;
}

/** Unpack what deflate packed; at most `size` bytes come of it. */
export interface InflateRequest {
  readonly packed: Uint8Array;
  readonly size: number;
}

/** Nothing but a turn of the event loop: wanted now and then by what reads long lists. */
export interface PauseRequest {
  readonly pause: true;
}

export const PAUSE: PauseRequest = { pause: true };

export type FileRequest = ReadRequest | InflateRequest | PauseRequest;

/** A reader: yields what it wants and is given the bytes. */
export type Reading<T> = Generator<FileRequest, T, Uint8Array>;

/** An open file, as readers see it. */
export class FileSource {
  #staging = new Uint8Array(0);

  constructor(
    readonly path: string,
    readonly size: number,
    /** Bytes that a reader may ask for at once where it reads in pieces. */
    readonly piece: number,
  ) {}

  /** Bytes of their own; the range must lie in the file. */
  *bytes(start: number, end: number): Reading<Uint8Array> {
    return yield { at: start, into: new Uint8Array(end - start) };
  }

  /** As `bytes`, in memory that the next call writes again. */
  *staged(start: number, end: number): Reading<Uint8Array> {
    const count = end - start;
    if (this.#staging.length < count) this.#staging = new Uint8Array(count);
    return yield { at: start, into: this.#staging.subarray(0, count) };
  }
}

/** Of a piece, the reader's thread copies what was read: so long may the event loop wait for it. */
const PIECE_ASYNC = 1 << 20;
const PIECE_SYNC = 64 << 20;

/** Opening a pipe would wait for whoever writes to it. */
const FLAGS = constants.O_RDONLY | constants.O_NONBLOCK;

/** A file that readers can be run on until it is closed. */
export class OpenFile {
  #closed = false;

  constructor(
    readonly path: string,
    private readonly file: number,
    readonly size: number,
  ) {}

  /** @throws M3lError M3L_READ_FAILED where the system cannot open it, or it is no regular file */
  static open(path: string, where: string): OpenFile {
    requireText(path, where, 'the path of a file');
    return withCode(path, () => {
      const file = openSync(path, FLAGS);
      return whereRegular(path, file, fstatSync(file));
    });
  }

  /** As `open`, while the event loop goes on. */
  static async openAsync(path: string, where: string): Promise<OpenFile> {
    requireText(path, where, 'the path of a file');
    try {
      const file = await openDescriptor(path, FLAGS);
      return whereRegular(path, file, await statDescriptor(file));
    } catch (error) {
      throw readError(path, error);
    }
  }

  /** Runs a reader; throws M3L_READ_FAILED where the system cannot read, and what the reader throws. */
  run<T>(reader: (file: FileSource) => Reading<T>): T {
    return withCode(this.path, () => {
      const reading = reader(this.#source(PIECE_SYNC));
      let step = reading.next();
      while (!step.done) {
        const request = step.value;
        step = answer(reading, () => serve(this.file, this.path, request));
      }
      return step.value;
    });
  }

  /** As `run`, while the event loop goes on. */
  async runAsync<T>(reader: (file: FileSource) => Reading<T>): Promise<T> {
    try {
      const reading = reader(this.#source(PIECE_ASYNC));
      let step = reading.next();
      while (!step.done) {
        const served = await settled(serveAsync(this.file, this.path, step.value));
        step = answer(reading, () => {
          if ('error' in served) throw served.error;
          return served.bytes;
        });
      }
      return step.value;
    } catch (error) {
      throw readError(this.path, error);
    }
  }

  /** A second call does nothing. */
  close(): void {
    if (!this.#closed) closeSync(this.file);
    this.#closed = true;
  }

  #source(piece: number): FileSource {
    if (!this.#closed) return new FileSource(this.path, this.size, piece);
    throw new M3lError('M3L_READ_FAILED', `${this.path} was closed: open it again`);
  }
}

/** Runs a reader on a file, which is then closed. */
export function readFile<T>(
  path: string,
  where: string,
  reader: (file: FileSource) => Reading<T>,
): T {
  const file = OpenFile.open(path, where);
  try {
    return file.run(reader);
  } finally {
    file.close();
  }
}

/** As `readFile`, while the event loop goes on. */
export async function readFileAsync<T>(
  path: string,
  where: string,
  reader: (file: FileSource) => Reading<T>,
): Promise<T> {
  const file = await OpenFile.openAsync(path, where);
  try {
    return await file.runAsync(reader);
  } finally {
    file.close();
  }
}

const openDescriptor = promisify(open);
const statDescriptor = promisify<number, Stats>(fstat);
const readDescriptor = promisify(read);

function whereRegular(path: string, file: number, stats: Stats): OpenFile {
  if (stats.isFile()) return new OpenFile(path, file, stats.size);
  closeSync(file);
  throw new M3lError('M3L_READ_FAILED', `${path} is no file; expected a regular one`);
}

function withCode<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw readError(path, error);
  }
}

/** Gives a reader what it asked for, or throws in it, so that it tidies up. */
function answer<T>(reading: Reading<T>, bytes: () => Uint8Array): ReturnType<Reading<T>['next']> {
  let given: Uint8Array;
  try {
    given = bytes();
  } catch (error) {
    return reading.throw(error);
  }
  return reading.next(given);
}

type Settled = { bytes: Uint8Array } | { error: unknown };

function settled(promise: Promise<Uint8Array>): Promise<Settled> {
  return promise.then(
    (bytes) => ({ bytes }),
    (error: unknown) => ({ error }),
  );
}

function serve(file: number, path: string, request: FileRequest): Uint8Array {
  if ('pause' in request) return NOTHING;
  if ('packed' in request) {
    return inflateRawSync(request.packed, { maxOutputLength: request.size });
  }
  const { at, into } = request;
  for (let got = 0; got < into.length; ) {
    const read = readSync(file, into, got, Math.min(into.length - got, MOST), at + got);
    if (read === 0) throw ended(path, at + got, at + into.length);
    got += read;
  }
  return into;
}

const NOTHING = new Uint8Array(0);

const inflate = promisify<Uint8Array, { maxOutputLength: number }, Buffer>(inflateRaw);

async function serveAsync(file: number, path: string, request: FileRequest): Promise<Uint8Array> {
  if ('pause' in request) return setImmediate(NOTHING);
  if ('packed' in request) return inflate(request.packed, { maxOutputLength: request.size });
  const { at, into } = request;
  for (let got = 0; got < into.length; ) {
    const most = Math.min(into.length - got, MOST);
    const { bytesRead } = await readDescriptor(file, into, got, most, at + got);
    if (bytesRead === 0) throw ended(path, at + got, at + into.length);
    got += bytesRead;
  }
  return into;
}

/** One read of the system takes at most 2 GiB. */
const MOST = 1 << 30;

function ended(path: string, at: number, expected: number): M3lError {
  return new M3lError(
    'M3L_READ_FAILED',
    `${path} ended at byte ${at}, expected ${expected}: another process shortened it; read it again`,
  );
}

/** What the system refused has a code of ours; all else stays what it is. */
function readError(path: string, error: unknown): unknown {
  if (!isSystemError(error)) return error;
  const name = path.replaceAll('\0', '\\0');
  return new M3lError('M3L_READ_FAILED', `${name} cannot be read: ${error.message}`, {
    cause: error,
  });
}

/** A file that does not follow its format: `what` is the format, `reason` what was found. */
export function corrupt(code: string, path: string, what: string, reason: string): M3lError {
  return new M3lError(code, `${path} is not a valid ${what}: ${reason}`);
}

/** A name from a file, short enough for a message. */
export function quoted(name: unknown): string {
  return typeof name === 'string' ? `'${name.slice(0, 200)}'` : describe(name);
}
