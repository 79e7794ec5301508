/** JavaScript values to what the core takes, by the type in an operator's schema. */
import {
  dtypeCode,
  isDType,
  type Layout,
  layouts,
  type MemoryFormat,
  memoryFormats,
} from './dtype.js';
import { describe } from './errors.js';
import { Generator } from './generator.js';
import { TypedScalar } from './scalar.js';
import type { Kind, Parameter, SchemaType } from './schema.js';
import { Tensor } from './tensor.js';

/** What `convert` gives for a value of the wrong type. */
export const mismatch: unique symbol = Symbol('mismatch');

/** The core's form of `value`, or `mismatch`. `undefined` is not for here: it stands for a default. */
export function convert(value: unknown, { type, words }: Parameter): unknown {
  if (value === null) return type.optional ? null : mismatch;
  if (words !== null && typeof value === 'string') {
    return Object.hasOwn(words, value) ? words[value] : mismatch;
  }
  return type.list ? convertList(value, type) : convertOne(value, type.kind);
}

function convertList(value: unknown, type: SchemaType): unknown {
  if (!Array.isArray(value)) {
    const numeric = type.kind === 'int' || type.kind === 'float';
    const one = numeric ? convertOne(value, type.kind) : mismatch;
    return one === mismatch || type.kind === 'int' ? one : Array(type.length ?? 1).fill(one);
  }
  const converted = new Array<unknown>(value.length);
  for (let i = 0; i < value.length; i++) {
    const item: unknown = value[i];
    const empty = item === null || item === undefined;
    converted[i] = empty && type.optionalElements ? null : convertOne(item, type.kind);
    if (converted[i] === mismatch) return mismatch;
  }
  return converted;
}

function convertOne(value: unknown, kind: Kind): unknown {
  switch (kind) {
    case 'Tensor':
      return value instanceof Tensor ? value.handle : mismatch;
    case 'int':
      return Number.isInteger(value) || typeof value === 'bigint' ? value : mismatch;
    case 'float':
      if (value instanceof TypedScalar && value.native.length === 1) return value.native[0];
      return typeof value === 'number' ? value : mismatch;
    case 'bool':
      return typeof value === 'boolean' ? value : mismatch;
    case 'str':
    case 'Device':
      return typeof value === 'string' ? value : mismatch;
    case 'Scalar':
      if (value instanceof TypedScalar) return value.native;
      return typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint'
        ? value
        : mismatch;
    case 'ScalarType':
      return isDType(value) ? dtypeCode(value) : mismatch;
    case 'Layout':
      return layouts[value as Layout] ?? mismatch;
    case 'MemoryFormat':
      return memoryFormats[value as MemoryFormat] ?? mismatch;
    case 'Generator':
      return value instanceof Generator ? value.native : mismatch;
    case 'unsupported':
      return mismatch;
  }
}

const expectations: Record<Kind, [one: string, many: string]> = {
  Tensor: ['a Tensor', 'Tensors'],
  int: ['an integer', 'integers'],
  float: ['a number', 'numbers'],
  bool: ['a boolean', 'booleans'],
  str: ['a string', 'strings'],
  Scalar: ['a number, bigint or boolean', 'numbers, bigints or booleans'],
  ScalarType: ["a dtype such as 'float32'", 'dtypes'],
  Layout: [`a layout (${Object.keys(layouts).join(', ')})`, 'layouts'],
  MemoryFormat: [`a memory format (${Object.keys(memoryFormats).join(', ')})`, 'memory formats'],
  Device: ["a device such as 'cpu' or 'cuda:0'", 'devices'],
  Generator: ['a torch.Generator', 'Generators'],
  unsupported: ['a value that JavaScript has no form for', 'values without a JavaScript form'],
};

/** How a value that `convert` does not take reads: two copies of this package have two Tensors. */
export function finding(value: unknown): string {
  const foreign = (value as object | null | undefined)?.constructor?.name === Tensor.name;
  return foreign && !(value instanceof Tensor)
    ? 'a Tensor of another copy of m3l'
    : describe(value);
}

/** What `convert` takes for a parameter, in words. */
export function expectation({ type, words }: Parameter): string {
  if (words !== null)
    return `one of ${Object.keys(words)
      .map((word) => `'${word}'`)
      .join(', ')}`;
  const [one, many] = expectations[type.kind];
  const list = type.kind === 'int' ? `an array of ${many} (or one)` : `an array of ${many}`;
  return `${type.list ? list : one}${type.optional ? ' or null' : ''}`;
}
