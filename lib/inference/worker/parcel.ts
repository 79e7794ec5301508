/** Values that hold tensors, on their way between threads: the tensors go beside, without a copy. */
import { ArgumentError } from '../../torch/errors.js';
import * as torch from '../../torch/index.js';
import { type SharedTensor, Tensor } from '../../torch/index.js';
import { isPlainObject } from '../../torch/plain-object.js';

/** A value with numbers in the places of its tensors. */
export interface Parcel {
  readonly value: unknown;
  readonly tensors: readonly SharedTensor[];
}

/** What stands in the place of a tensor; no value of a caller's has this key by chance. */
const PLACE = 'm3l:tensor';
/** Beyond it a value is no argument of a model, and the way through it has an end. */
const DEEPEST = 1000;

/**
 * A value ready to be sent, its tensors shared.
 * @throws ArgumentError where it is too deep, M3lError M3L_DISPOSED; nothing stays shared then
 */
export function pack(value: unknown): Parcel {
  const tensors: SharedTensor[] = [];
  try {
    const share = (tensor: Tensor) => ({ [PLACE]: tensors.push(tensor.share()) - 1 });
    return { value: mapTensors(value, share), tensors };
  } catch (error) {
    discard(tensors);
    throw error;
  }
}

/** The value as it was, with tensors of this thread in the current scope. */
export function unpack({ value, tensors }: Parcel): unknown {
  const received = tensors.map(torch.receive);
  return mapValues(value, (found) => (isPlace(found) ? { by: received[found[PLACE]] } : undefined));
}

/** Releases what was shared and nobody receives any more. */
export function discard(tensors: readonly SharedTensor[]): void {
  for (const shared of tensors) {
    try {
      torch.receive(shared).dispose();
    } catch (error) {
      // The other side has received it.
      if ((error as { code?: unknown }).code !== 'M3L_SHARED') throw error;
    }
  }
}

/** A copy of arrays, plain objects, Maps and Sets in which something else stands for each tensor. */
export function mapTensors(value: unknown, replace: (tensor: Tensor) => unknown): unknown {
  return mapValues(value, (found) =>
    found instanceof Tensor ? { by: replace(found) } : undefined,
  );
}

type Replace = (value: object) => { by: unknown } | undefined;

function mapValues(root: unknown, replace: Replace): unknown {
  const made = new Map<object, unknown>();
  const copy = (value: unknown, depth: number): unknown => {
    if (typeof value !== 'object' || value === null) return value;
    if (made.has(value)) return made.get(value);
    if (depth > DEEPEST) {
      throw new ArgumentError(`found a value nested more than ${DEEPEST} times, expected less`);
    }
    const replaced = replace(value);
    if (replaced !== undefined) {
      made.set(value, replaced.by);
      return replaced.by;
    }
    return copyChildren(value, made, (child) => copy(child, depth + 1));
  };
  return copy(root, 0);
}

/** Entered among those `made` before its children are, since they may lead back to it. */
function copyChildren(
  value: object,
  made: Map<object, unknown>,
  copy: (child: unknown) => unknown,
): unknown {
  const enter = <T extends object>(empty: T): T => {
    made.set(value, empty);
    return empty;
  };
  if (Array.isArray(value)) {
    const list = enter([] as unknown[]);
    for (const child of value) list.push(copy(child));
    return list;
  }
  if (value instanceof Set) {
    const set = enter(new Set());
    for (const child of value) set.add(copy(child));
    return set;
  }
  if (value instanceof Map) {
    const map = enter(new Map());
    for (const [key, child] of value) map.set(key, copy(child));
    return map;
  }
  if (!isPlainObject(value)) return value;
  const object = enter({});
  for (const [key, child] of Object.entries(value)) {
    // Not by assignment, to which a name like __proto__ is no name.
    Object.defineProperty(object, key, {
      ...{ value: copy(child), enumerable: true, configurable: true, writable: true },
    });
  }
  return object;
}

function isPlace(value: object): value is { [PLACE]: number } {
  return PLACE in value;
}
