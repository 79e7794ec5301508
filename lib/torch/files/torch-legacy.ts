/**
 * PyTorch's files before 1.6: five pickles one after the other (a magic number, a version, facts of the
 * machine, the object, the keys of its storages), then the storages: 8 bytes of count, the values.
 */
import { dtypeInfo } from '../dtype.js';
import type { M3lError } from '../errors.js';
import { pickleHost } from './pickle-globals.js';
import { PickleEnded, readPickle } from './pickle-reader.js';
import { PyDict, PyList } from './pickle-values.js';
import { corrupt, type FileSource, type Reading } from './source.js';
import { type Storage, StorageTable } from './storages.js';
import { readRange, wordSize } from './tensor-bytes.js';
import { made } from './torch-zip.js';

const MAGIC = 0x1950a86a20f9469cfc6cn;
const VERSION = 1001;
/** Most models are described by less. */
const FIRST_READ = 1 << 18;

export function* readTorchLegacy(file: FileSource): Reading<unknown> {
  const fail = (reason: string) => corrupt('M3L_PICKLE', file.path, 'PyTorch file', reason);
  const { table, value, keys, bigEndian, end } = yield* readPickles(file, fail);
  return yield* made(table, value, fail, function* () {
    let at = end;
    for (const storage of stored(table, keys, fail)) {
      at = yield* fillStorage(file, storage, at, bigEndian, fail);
    }
  });
}

/** Whether a file that begins with these bytes is one: the pickled magic number. */
export function isTorchLegacy(start: Uint8Array): boolean {
  // Protocol 4 puts a frame around it.
  return start[0] === 0x80 && [2, 11].includes(Buffer.from(start).indexOf(PICKLED_MAGIC));
}

const PICKLED_MAGIC = Buffer.from('8a0a6cfc9c46f9206aa85019', 'hex');

interface Pickles {
  table: StorageTable;
  value: unknown;
  keys: unknown;
  bigEndian: boolean;
  /** Where the storages begin. */
  end: number;
}

/** How long the pickles are is known when they have been read: four times as much until it is enough. */
function* readPickles(file: FileSource, fail: (reason: string) => M3lError): Reading<Pickles> {
  for (let length = FIRST_READ; ; length *= 4) {
    const bytes = yield* file.bytes(0, Math.min(length, file.size));
    try {
      return yield* parse(file, bytes, fail);
    } catch (error) {
      if (!(error instanceof PickleEnded)) throw error;
      if (length >= file.size) throw fail('its pickle is cut short');
    }
  }
}

function* parse(
  file: FileSource,
  bytes: Uint8Array,
  fail: (reason: string) => M3lError,
): Reading<Pickles> {
  let total = 0;
  const table = new StorageTable(fail, (key, size) => {
    total += size;
    if (total <= file.size) return;
    throw fail(`its storages until '${key.slice(0, 40)}' have ${total} bytes, more than it has`);
  });
  const host = pickleHost(table, fail, file.size);
  let end = 0;
  function* next(): Reading<unknown> {
    const read = yield* readPickle(bytes, end, host);
    end = read.end;
    return read.value;
  }
  if ((yield* next()) !== MAGIC) throw fail('its magic number is another');
  const version = yield* next();
  if (version !== VERSION) throw fail(`it has the version ${String(version)}, expected ${VERSION}`);
  const facts = yield* next();
  const little = facts instanceof PyDict ? facts.values[facts.keys.indexOf('little_endian')] : true;
  const value = yield* next();
  const keys = yield* next();
  return { table, value, keys, bigEndian: little === false, end };
}

function stored(table: StorageTable, keys: unknown, fail: (reason: string) => M3lError): Storage[] {
  if (!(keys instanceof PyList)) throw fail('its storages have no keys');
  const storages = keys.items.map((key) => {
    const storage = table.storages.get(String(key));
    if (storage === undefined) throw fail(`nothing refers to its storage '${String(key)}'`);
    return storage;
  });
  if (new Set(storages).size === table.storages.size && storages.length === table.storages.size) {
    return storages;
  }
  throw fail(`it has ${storages.length} storages, and refers to ${table.storages.size}`);
}

function* fillStorage(
  file: FileSource,
  storage: Storage,
  at: number,
  bigEndian: boolean,
  fail: (reason: string) => M3lError,
): Reading<number> {
  const start = at + 8;
  const end = start + storage.bytes;
  if (end > file.size) throw fail(`it is cut short: ${file.size} bytes, expected at least ${end}`);
  const header = Buffer.from((yield* file.bytes(at, start)).buffer);
  const count = Number(bigEndian ? header.readBigInt64BE() : header.readBigInt64LE());
  const item = storage.dtype ? dtypeInfo(storage.dtype).size : 1;
  if (count * item !== storage.bytes && count !== storage.bytes) {
    throw fail(
      `its storage '${storage.key}' has ${count} values, expected ${storage.bytes / item}`,
    );
  }
  const swap = bigEndian && storage.dtype ? wordSize(storage.dtype) : 1;
  storage.fill(yield* readRange(file, start, end, { swap }));
  return end;
}
