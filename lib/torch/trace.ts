import { type DType, dtypeName, type TypedArray } from './dtype.js';
import { ArgumentError, M3lError } from './errors.js';
import { type Handle, loadCore, type NativeCore, replaceCore } from './native.js';
import { type Parameter, parseSchema, type Schema } from './schema.js';
import { Tensor } from './tensor.js';

/** A tensor of a traced computation. */
export interface TracedTensor {
  readonly id: number;
  readonly shape: readonly number[];
  readonly dtype: DType;
  /** Of what does not depend on the inputs: weights, and what was computed of them alone. */
  readonly constant: {
    /** Handle of the tensor at the time: of a parameter its own. */
    readonly handle: Handle;
    /** The raw values, row-major. */
    readonly values: TypedArray;
  } | null;
}

/** What an argument of a traced call is. */
export type TracedArgument =
  | TracedTensor
  | number
  | bigint
  | boolean
  | string
  | null
  | readonly TracedArgument[];

/** An operator that was called on what depends on the inputs. */
export interface TracedCall {
  /** `aten::add.Tensor`, without the dot where it has one overload. */
  readonly operator: string;
  /** By the schema's names; those that were left out have their defaults. Dtypes are names. */
  readonly args: Readonly<Record<string, TracedArgument>>;
  readonly results: readonly TracedTensor[];
}

export interface Trace {
  readonly inputs: readonly TracedTensor[];
  readonly calls: readonly TracedCall[];
  readonly outputs: readonly TracedTensor[];
}

/**
 * The operators that `fn` calls on `inputs` and on what comes of them, in order, with the shapes that these
 * tensors had: what a graph format is written from. What depends on no input is a constant.
 *
 * @param fn gives the outputs; it is called once
 * @throws M3lError M3L_TRACE where `fn` reads values of a traced tensor (`item`, `toTypedArray`), writes
 *   into one, is asynchronous, or where an output depends on no input
 */
export function trace(
  fn: (inputs: readonly Tensor[]) => readonly Tensor[],
  inputs: readonly Tensor[],
): Trace {
  const tracer = new Tracer(loadCore());
  const given = inputs.map((input) => tracer.input(input.handle));
  const before = replaceCore(tracer.core);
  let outputs: readonly Tensor[];
  try {
    outputs = fn(inputs);
  } finally {
    replaceCore(before);
  }
  if (!Array.isArray(outputs) || !outputs.every((output) => output instanceof Tensor)) {
    throw new ArgumentError('trace: fn must give an array of Tensors, at once and no promise');
  }
  return {
    inputs: given,
    calls: tracer.calls,
    outputs: outputs.map((output, i) => tracer.output(output.handle, i)),
  };
}

/** Functions of the core that give values of a tensor to JavaScript, or it to others. */
const READERS = [
  'item',
  'toBuffer',
  'copyTo',
  'copyToAsync',
  'share',
  'backward',
  'backwardAsync',
  'gradients',
  'customFunction',
  'callAsync',
  'scriptCall',
] as const satisfies readonly (keyof NativeCore)[];

class Tracer {
  readonly core: NativeCore;
  readonly calls: TracedCall[] = [];
  readonly #native: NativeCore;
  /** Of tensors that depend on an input; handles are never used again. */
  readonly #live = new Map<Handle, TracedTensor>();
  readonly #constants = new Map<Handle, TracedTensor>();
  readonly #schemas = new Map<number, Schema | null>();
  #count = 0;

  constructor(native: NativeCore) {
    this.#native = native;
    const readers = READERS.map((name) => [name, this.#guarded(name)]);
    this.core = {
      ...native,
      ...Object.fromEntries(readers),
      call: (operator, ...args) => this.#call(operator, args),
      alias: (handle) => {
        const result = native.alias(handle);
        const known = this.#live.get(handle);
        if (known !== undefined) this.#live.set(Math.abs(result), known);
        return result;
      },
    };
  }

  input(handle: Handle): TracedTensor {
    return this.#note(handle);
  }

  output(handle: Handle, index: number): TracedTensor {
    const found = this.#live.get(handle);
    if (found !== undefined) return found;
    throw new M3lError('M3L_TRACE', `trace: output ${index} depends on no input`);
  }

  #note(handle: Handle): TracedTensor {
    const noted = { ...this.#described(handle), constant: null };
    this.#live.set(handle, noted);
    return noted;
  }

  #described(handle: Handle) {
    const native = this.#native;
    const dtype = dtypeName(native.dtype(handle));
    return { id: this.#count++, shape: native.shape(handle), dtype };
  }

  #guarded(name: (typeof READERS)[number]): (...args: unknown[]) => unknown {
    const original = this.#native[name] as (...args: unknown[]) => unknown;
    return (...args) => {
      if (args.flat().some((each) => typeof each === 'number' && this.#live.has(each))) {
        throw new M3lError(
          'M3L_TRACE',
          `trace: ${name} reads values that depend on the inputs, which a graph of operators cannot hold. ` +
            'Compute with tensors instead.',
        );
      }
      return original(...args);
    };
  }

  #call(operator: number, args: readonly unknown[]): ReturnType<NativeCore['call']> {
    const schema = this.#schema(operator);
    const isLive = schema?.parameters.some(({ type }, i) => {
      if (type.kind !== 'Tensor') return false;
      const given = args[i];
      const handles = type.list ? (given as readonly unknown[] | undefined) : [given];
      return handles?.some((handle) => this.#live.has(handle as Handle)) ?? false;
    });
    if (!schema || !isLive) return this.#native.call(operator, ...args);
    if (schema.parameters.some(({ writes }) => writes !== null)) {
      throw new M3lError(
        'M3L_TRACE',
        `trace: ${schema.namespace}::${schema.name} writes into a tensor. Use the form that gives a new one.`,
      );
    }
    // Before the call: what it reads may go with it.
    const traced = Object.fromEntries(
      schema.parameters.map((parameter, i) => [parameter.name, this.#argument(args[i], parameter)]),
    );
    const result = this.#native.call(operator, ...args);
    const { namespace, name, overload } = schema;
    const results = this.#results(schema, result);
    const operatorName = `${namespace}::${name}${overload && `.${overload}`}`;
    this.calls.push({ operator: operatorName, args: traced, results });
    return result;
  }

  #schema(operator: number): Schema | null {
    const known = this.#schemas.get(operator);
    if (known !== undefined) return known;
    const parsed = parseSchema(this.#native.schema(operator));
    this.#schemas.set(operator, parsed);
    return parsed;
  }

  #results(schema: Schema, result: unknown): TracedTensor[] {
    const parts = schema.returns.length === 1 ? [result] : (result as readonly unknown[]);
    return schema.returns.flatMap(({ type }, i) => {
      if (type.kind !== 'Tensor') {
        throw new M3lError(
          'M3L_TRACE',
          `trace: ${schema.namespace}::${schema.name} gives JavaScript a value that depends on the inputs`,
        );
      }
      const handles = (type.list ? parts[i] : [parts[i]]) as readonly Handle[];
      return handles.map((handle) => this.#note(Math.abs(handle)));
    });
  }

  #argument(given: unknown, parameter: Parameter): TracedArgument {
    const { type, hasDefault, defaultText } = parameter;
    if (given === undefined) return hasDefault ? defaultOf(defaultText!, parameter) : null;
    if (given === null) return null;
    if (type.list && Array.isArray(given)) {
      return given.map((each: unknown) => this.#one(each, parameter));
    }
    const one = this.#one(given, parameter);
    return type.list ? Array<TracedArgument>(type.length ?? 1).fill(one) : one;
  }

  #one(given: unknown, { type }: Parameter): TracedArgument {
    if (given === null) return null;
    if (type.kind === 'Tensor') return this.#tensor(given as Handle);
    if (type.kind === 'ScalarType') return dtypeName(given as number);
    // A typed scalar comes as an array of its parts.
    if (Array.isArray(given) && given.length === 1) return given[0] as number;
    return given as TracedArgument;
  }

  #tensor(handle: Handle): TracedTensor {
    const known = this.#live.get(handle) ?? this.#constants.get(handle);
    if (known !== undefined) return known;
    const values = valuesOf(this.#native, handle);
    const constant = { ...this.#described(handle), constant: { handle, values } };
    this.#constants.set(handle, constant);
    return constant;
  }
}

function valuesOf(native: NativeCore, handle: Handle): TypedArray {
  const before = replaceCore(native);
  try {
    return new Tensor(handle).toTypedArray();
  } finally {
    replaceCore(before);
  }
}

/** `[1, 1]`, `0.5`, `True`, `None`, `"none"`, as a schema prints them. */
function defaultOf(text: string, { type }: Parameter): TracedArgument {
  if (text === 'None') return null;
  if (text === 'True' || text === 'False') return text === 'True';
  if (type.kind === 'str') return text.slice(1, -1);
  if (text.startsWith('[')) return JSON.parse(text) as number[];
  const value = Number(text.endsWith('.') ? text.slice(0, -1) : text);
  if (Number.isNaN(value)) return text;
  return type.list ? Array<number>(type.length ?? 1).fill(value) : value;
}
