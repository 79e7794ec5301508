/** Python's containers while a pickle is read, and what JavaScript gets for them. */
import type { M3lError } from '../errors.js';
import { Tensor } from '../tensor.js';

/** A list, tuple or torch.Size. */
export class PyList {
  readonly items: unknown[];
  constructor(items: unknown[] = []) {
    this.items = items;
  }
}

export class PyTuple {
  constructor(readonly items: readonly unknown[]) {}
}

/** Of unique keys only at the end: what is set twice keeps its place and its last value. */
export class PyDict {
  readonly keys: unknown[] = [];
  readonly values: unknown[] = [];

  set(key: unknown, value: unknown): void {
    this.keys.push(key);
    this.values.push(value);
  }
}

export class PySet {
  constructor(readonly items: unknown[]) {}
}

/** A value that is made later, when the storages have been read. */
export interface Pending {
  readonly pending: true;
  value(): unknown;
}

/** Python's own recursion ends at a thousand. */
const DEEPEST = 500;

type Fail = (reason: string) => M3lError;

/**
 * The JavaScript values of what a pickle built: objects for dictionaries whose keys are text, Maps for
 * others, arrays for lists and tuples, Sets. What was one object stays one.
 */
export function toJavaScript(value: unknown, fail: Fail): unknown {
  const made = new Map<object, unknown>();

  function visit(value: unknown, depth: number): unknown {
    if (typeof value !== 'object' || value === null) return value;
    if (depth > DEEPEST) throw fail(`it is nested deeper than ${DEEPEST} levels`);
    const known = made.get(value);
    if (known !== undefined) return known;
    if (value instanceof PyDict) return visitDict(value, depth);
    if (value instanceof PySet) {
      const set = new Set();
      made.set(value, set);
      for (const item of value.items) set.add(visit(item, depth + 1));
      return set;
    }
    if (value instanceof PyList || value instanceof PyTuple) {
      const array: unknown[] = [];
      made.set(value, array);
      for (const item of value.items) array.push(visit(item, depth + 1));
      return array;
    }
    if ('pyName' in value) throw fail(`it holds the class or function ${String(value.pyName)}`);
    if (!isPending(value)) return value;
    const result = value.value();
    made.set(value, result);
    return result;
  }

  function visitDict(dict: PyDict, depth: number): unknown {
    const { keys, values } = dict;
    if (keys.every((key) => typeof key === 'string')) {
      const object: Record<string, unknown> = {};
      made.set(dict, object);
      for (let i = 0; i < keys.length; i++)
        define(object, keys[i] as string, visit(values[i], depth + 1));
      return object;
    }
    const map = new Map<unknown, unknown>();
    made.set(dict, map);
    for (let i = 0; i < keys.length; i++)
      map.set(visit(keys[i], depth + 1), visit(values[i], depth + 1));
    return map;
  }

  try {
    return visit(value, 0);
  } catch (error) {
    for (const each of made.values()) if (each instanceof Tensor) each.dispose();
    throw error;
  }
}

/** As a literal does: also where the key is `__proto__`. */
export function define(object: object, key: string, value: unknown): void {
  if (key !== '__proto__') (object as Record<string, unknown>)[key] = value;
  else
    Object.defineProperty(object, key, {
      value,
      enumerable: true,
      writable: true,
      configurable: true,
    });
}

function isPending(value: object): value is Pending {
  return (value as Partial<Pending>).pending === true;
}
