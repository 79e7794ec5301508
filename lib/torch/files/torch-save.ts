/** `torch.save`: the zip format of PyTorch, which `torch.load(path, weights_only=True)` reads. */
import { writeAtomically } from '../atomic-write.js';
import { ArgumentError, describe } from '../errors.js';
import { isPlainObject } from '../plain-object.js';
import { requireText } from '../require.js';
import { TypedScalar } from '../scalar.js';
import { Tensor } from '../tensor.js';
import { PickleWriter } from './pickle-writer.js';
import { StoragesToWrite } from './storages-to-write.js';
import { pickleTensor } from './tensor-pickle.js';
import { zipChunks } from './zip-writer.js';

/** What a file of PyTorch can hold and JavaScript has: what `torch.save` takes and `torch.load` gives. */
export type Saved =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | TypedScalar
  | Tensor
  | readonly Saved[]
  | ReadonlySet<Saved>
  | ReadonlyMap<Saved, Saved>
  | { readonly [key: string]: Saved };

const FOLDER = 'archive';
const ALIGNMENT = 64;
/** Of a length in one byte. */
const MOST_BITS = 8 * 255;
/** Python's own recursion ends at a thousand. */
const DEEPEST = 500;

/**
 * Writes tensors in plain containers to a file that PyTorch reads by `torch.load(path)`, atomically.
 * Objects and Maps become dictionaries, arrays lists, integral numbers integers (`torch.scalar(1)` is
 * the float 1.0), what requires a gradient a tensor that does. Tensors that share memory share it when
 * they are read; of a view, what lies outside is not written.
 * @throws ArgumentError naming the place of a value that has no form
 * @throws M3lError M3L_WRITE_FAILED where the file cannot be written
 */
export function save(path: string, value: Saved): void {
  requireText(path, 'torch.save', 'the path of a file');
  const storages = new StoragesToWrite(tensorsIn(value));
  try {
    const pickle = picklesOf(value, storages);
    const text = (name: string, content: string | Uint8Array) => {
      const bytes = typeof content === 'string' ? Buffer.from(content) : content;
      return { name: `${FOLDER}/${name}`, size: bytes.length, chunks: () => [bytes] };
    };
    const entries = [
      text('data.pkl', pickle),
      text('byteorder', 'little'),
      ...storages.entries().map((entry) => ({ ...entry, name: `${FOLDER}/data/${entry.name}` })),
      text('version', '3\n'),
    ];
    writeAtomically(path, zipChunks(entries, { alignment: ALIGNMENT }));
  } finally {
    storages.dispose();
  }
}

/** Every tensor in a value, each once, and a fault for what has no form. */
function tensorsIn(value: unknown): Set<Tensor> {
  const tensors = new Set<Tensor>();
  const seen = new Set<object>();
  const visit = (value: unknown, place: string, depth: number): void => {
    if (depth > DEEPEST)
      throw new ArgumentError(
        `torch.save: ${shown(place)} is nested deeper than ${DEEPEST} levels`,
      );
    if (value instanceof Tensor) tensors.add(value);
    if (!isContainer(value)) {
      checkPlain(value, place);
      return;
    }
    if (seen.has(value)) return;
    seen.add(value);
    for (const [key, item] of childrenOf(value)) {
      if (value instanceof Map) checkKey(key, place);
      visit(item, `${place}${place === '' ? '' : '.'}${String(key)}`, depth + 1);
    }
  };
  visit(value, '', 0);
  return tensors;
}

const shown = (place: string) => (place === '' ? 'the value' : `'${place.slice(0, 200)}'`);

function checkPlain(value: unknown, place: string): void {
  const kind = typeof value;
  if (typeof value === 'bigint' && BigInt.asIntN(MOST_BITS, value) !== value) {
    throw new ArgumentError(
      `torch.save: ${shown(place)} is an integer of more than ${MOST_BITS} bits, which has no form`,
    );
  }
  if (value === null || kind === 'boolean' || kind === 'number' || kind === 'bigint') return;
  if (value instanceof Tensor || value instanceof TypedScalar || value instanceof Uint8Array)
    return;
  if (typeof value === 'string') {
    if (!/\p{Surrogate}/u.test(value)) return;
    throw new ArgumentError(`torch.save: ${shown(place)} is text with half of a surrogate pair`);
  }
  const hasState = typeof (value as { stateDict?: unknown } | undefined)?.stateDict === 'function';
  throw new ArgumentError(
    `torch.save: ${shown(place)} is ${describe(value)}, expected tensors, numbers, text, bytes (Uint8Array), null, and arrays, Sets, Maps and plain objects of them${hasState ? '; save its stateDict()' : ArrayBuffer.isView(value) ? '; save torch.tensor(view)' : ''}`,
  );
}

function checkKey(key: unknown, place: string): void {
  if (['string', 'number', 'bigint', 'boolean'].includes(typeof key)) return;
  throw new ArgumentError(
    `torch.save: ${shown(place)} has ${describe(key)} as a key, expected text, numbers or booleans`,
  );
}

type Container = readonly unknown[] | ReadonlySet<unknown> | ReadonlyMap<unknown, unknown> | object;

function isContainer(value: unknown): value is Container {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return false;
  return (
    Array.isArray(value) || value instanceof Set || value instanceof Map || isPlainObject(value)
  );
}

function childrenOf(value: Container): Iterable<[unknown, unknown]> {
  if (Array.isArray(value)) return value.entries();
  if (value instanceof Map) return value;
  if (value instanceof Set) return [...value].entries();
  return Object.entries(value);
}

function picklesOf(value: unknown, storages: StoragesToWrite): Buffer {
  const pickle = new PickleWriter();
  const memo = new Map<object, number>();

  function write(value: unknown): void {
    if (value === null) pickle.none();
    else if (typeof value === 'boolean') pickle.bool(value);
    else if (typeof value === 'bigint') pickle.int(value);
    else if (typeof value === 'number') writeNumber(value);
    else if (typeof value === 'string') pickle.text(value);
    else writeObject(value as object);
  }

  function writeNumber(value: number): void {
    if (Number.isSafeInteger(value) && !Object.is(value, -0)) pickle.int(value);
    else pickle.float(value);
  }

  function writeObject(value: object): void {
    const known = memo.get(value);
    if (known !== undefined) {
      pickle.recall(known);
      return;
    }
    if (value instanceof Tensor) pickleTensor(pickle, value, storages);
    else if (value instanceof TypedScalar) writeScalar(value);
    else if (value instanceof Uint8Array) pickle.bytes(value);
    else if (value instanceof Set) writeSet(value);
    else {
      writeContainer(value);
      return;
    }
    memo.set(value, pickle.memorize());
  }

  function writeScalar({ native: [real, imaginary] }: TypedScalar): void {
    if (imaginary === undefined) {
      pickle.float(real!);
      return;
    }
    pickle.global('__builtin__', 'complex');
    pickle.float(real!);
    pickle.float(imaginary);
    pickle.tuple(2);
    pickle.reduce();
  }

  /** Kept before it is filled, so that it may hold itself. */
  function writeContainer(value: object): void {
    const isList = Array.isArray(value);
    if (isList) pickle.emptyList();
    else pickle.emptyDict();
    memo.set(value, pickle.memorize());
    pickle.mark();
    for (const [key, item] of childrenOf(value)) {
      if (!isList) write(key);
      write(item);
    }
    if (isList) pickle.appends();
    else pickle.setItems();
  }

  function writeSet(value: ReadonlySet<unknown>): void {
    pickle.global('__builtin__', 'set');
    pickle.emptyList();
    pickle.mark();
    for (const item of value) write(item);
    pickle.appends();
    pickle.tuple(1);
    pickle.reduce();
  }

  write(value);
  return pickle.finish();
}
