/**
 * Calls of operators by name: picks the overload that the arguments fit and converts them by its
 * schema. Every operator without a direct path of its own goes through here.
 */
import { type Options, takeOptions } from './arguments.js';
import { refresh } from './context.js';
import { convert, expectation, finding, mismatch } from './convert.js';
import { dtypeName } from './dtype.js';
import { ArgumentError, M3lError } from './errors.js';
import { core, type Handle, type NativeResult } from './native.js';
import {
  camelCase,
  isFactory,
  parseSchema,
  type Return,
  type Schema,
  variadicPlace,
} from './schema.js';
import { Tensor, wrap, wrapOptional, written } from './tensor.js';

/** One overload, ready to call. */
interface Overload {
  readonly id: number;
  readonly schema: Schema;
  readonly positional: number;
  readonly keys: ReadonlySet<string>;
  /** Whether it takes `requiresGrad`. */
  readonly factory: boolean;
  /** The place of a list that may come as several arguments, or -1. */
  readonly variadic: number;
  /** Turns the core's result into what the caller gets. */
  readonly finish: (result: NativeResult, args: readonly unknown[], options?: Options) => unknown;
}

/** All overloads of one operator name, in the order in which they are tried. */
export class Family {
  readonly #name: string;
  readonly #overloads: readonly string[];
  #resolved: Overload[] | null = null;

  /** `name` with its namespace: `aten::add`. */
  constructor(name: string, overloads: readonly string[]) {
    this.#name = name;
    this.#overloads = overloads;
  }

  invoke(args: unknown[]): unknown {
    const options = takeOptions(args);
    for (const overload of this.#resolve()) {
      const natives = bind(overload, args, options);
      if (natives === null) continue;
      refresh();
      return overload.finish(core.call(overload.id, ...natives), args, options);
    }
    const lifted = withNumberFirst(this.#name, args);
    if (lifted !== null) return this.invoke(options === undefined ? lifted : [...lifted, options]);
    throw this.#refusal(args, options);
  }

  /** As `invoke`, on another thread; the results belong to the scope that awaits them. */
  async invokeAsync(args: unknown[]): Promise<unknown> {
    const options = takeOptions(args);
    for (const overload of this.#resolve()) {
      const natives = bind(overload, args, options);
      if (natives === null) continue;
      const result = await core.callAsync(overload.id, ...natives);
      refresh();
      return overload.finish(core.takeResult(result), args, options);
    }
    throw this.#refusal(args, options);
  }

  /** Overloads that this libtorch does not have are left out; having none at all is an error. */
  #resolve(): Overload[] {
    if (this.#resolved !== null) return this.#resolved;
    const found: Overload[] = [];
    let missing: unknown;
    for (const overload of this.#overloads) {
      try {
        found.push(resolveOverload(this.#name, overload));
      } catch (error) {
        if (!(error instanceof M3lError) || error.code !== 'M3L_UNKNOWN_OPERATOR') throw error;
        missing = error;
      }
    }
    if (found.length === 0) throw missing;
    this.#resolved = found;
    return found;
  }

  #refusal(args: unknown[], options: Options | undefined): ArgumentError {
    const reasons: string[] = [];
    const overloads = this.#resolve();
    for (const overload of overloads) bind(overload, args, options, reasons);
    if (overloads.length === 1) {
      return new ArgumentError(
        `${this.#name}: ${reasons[0]}. Signature: ${overloads[0]!.schema.text}`,
      );
    }
    const lines = overloads.map(({ schema }, i) => `  - ${schema.text}\n    ${reasons[i]}`);
    return new ArgumentError(
      `${this.#name}: no overload takes these arguments:\n${lines.join('\n')}`,
    );
  }
}

/** Those that take a number in place of their first tensor, as Python's: `torch.sub(1, x)`. */
const NUMBER_FIRST = /^aten::(add|sub(tract)?|mul(tiply)?|div(ide)?|true_divide|floor_divide)$/;

/** The arguments with a tensor for the number that comes before one, of the dtype that the two have. */
function withNumberFirst(name: string, args: readonly unknown[]): unknown[] | null {
  const [first, second, ...rest] = args;
  if (!(second instanceof Tensor) || first instanceof Tensor || !NUMBER_FIRST.test(name))
    return null;
  const resultType = resolveOverload('aten::result_type', 'Scalar_Tensor');
  const native = convert(first, resultType.schema.parameters[0]!);
  if (native === mismatch) return null;
  refresh();
  const dtype = core.call(resultType.id, native, second.handle);
  const scalarTensor = core.resolve('aten::scalar_tensor', '');
  const made = core.call(scalarTensor, native, dtype, undefined, second.device);
  return [wrap(made as Handle), second, ...rest];
}

const families = new WeakMap<object, Family>();

/** A function that calls an ATen operator. The generated files list the overloads in their order. */
export function operator<F>(name: string, ...overloads: string[]): F {
  return callable(new Family(`aten::${name}`, overloads.length === 0 ? [''] : overloads)) as F;
}

/** As `callable`, asynchronous. */
export function callableAsync(family: Family): (...args: unknown[]) => Promise<unknown> {
  return (...args) => family.invokeAsync(args);
}

/** A function around a family; `methodOf` finds the family again. */
export function callable(family: Family): (...args: unknown[]) => unknown {
  const call = (...args: unknown[]) => family.invoke(args);
  families.set(call, family);
  return call;
}

/** The method of a function made by `operator`: `this` is its first argument. */
export function methodOf(call: unknown): (this: Tensor, ...args: unknown[]) => unknown {
  const family = families.get(call as object) as Family;
  return function (...args) {
    args.unshift(this);
    return family.invoke(args);
  };
}

function resolveOverload(name: string, overload: string): Overload {
  const id = core.resolve(name, overload);
  const text = core.schema(id);
  const schema = parseSchema(text);
  if (schema === null) {
    throw new M3lError(
      'M3L_UNSUPPORTED_OPERATOR',
      `${name}: JavaScript has no form for its schema: ${text}`,
    );
  }
  const keys = schema.parameters.map(({ key }) => key);
  const factory = isFactory(schema);
  return {
    id,
    schema,
    positional: schema.parameters.filter(({ keywordOnly }) => !keywordOnly).length,
    keys: new Set(factory ? [...keys, 'requiresGrad'] : keys),
    factory,
    variadic: variadicPlace(schema),
    finish: factory ? recorded(finisher(schema)) : finisher(schema),
  };
}

/** Of a function that makes a leaf: its gradient is recorded where the options say so. */
function recorded(finish: Overload['finish']): Overload['finish'] {
  return (result, args, options) => {
    const made = finish(result, args, options) as Tensor;
    return options?.requiresGrad === true ? made.requiresGrad_() : made;
  };
}

/** The arguments with those from `place` on, which must be numbers or tensors, gathered into a list. */
function gather(args: readonly unknown[], place: number): readonly unknown[] {
  if (args.length <= place || Array.isArray(args[place])) return args;
  const rest = args.slice(place);
  const several = rest.every((item) => item instanceof Tensor || typeof item === 'number');
  return several ? [...args.slice(0, place), rest] : args;
}

/** The arguments as the core takes them, or null where they do not fit (and then why, if asked). */
function bind(
  { schema, positional, keys, factory, variadic }: Overload,
  given: readonly unknown[],
  options: Options | undefined,
  reasons?: string[],
): unknown[] | null {
  const { parameters } = schema;
  const args = variadic < 0 ? given : gather(given, variadic);
  if (args.length > positional) {
    reasons?.push(`takes ${positional} positional arguments, found ${args.length}`);
    return null;
  }
  for (const key in options) {
    if (keys.has(key) || options[key] === undefined) continue;
    reasons?.push(`has no argument '${key}'; it has ${[...keys].join(', ')}`);
    return null;
  }
  const recorded = options !== undefined && factory ? options.requiresGrad : undefined;
  if (recorded !== undefined && typeof recorded !== 'boolean') {
    reasons?.push(`argument 'requires_grad' must be a boolean, found ${finding(recorded)}`);
    return null;
  }
  const natives = new Array<unknown>(parameters.length);
  for (let i = 0; i < parameters.length; i++) {
    const parameter = parameters[i]!;
    const { key, name, type, hasDefault } = parameter;
    const positionally = i < args.length ? args[i] : undefined;
    const named = options?.[key];
    if (positionally !== undefined && named !== undefined) {
      reasons?.push(`argument '${name}' is given twice, by position and by name`);
      return null;
    }
    const value = positionally === undefined ? named : positionally;
    if (value === undefined) {
      if (hasDefault) continue;
      if (type.optional && i < args.length) {
        natives[i] = null;
        continue;
      }
      reasons?.push(`argument '${name}' is missing; expected ${expectation(parameter)}`);
      return null;
    }
    natives[i] = convert(value, parameter);
    if (natives[i] === mismatch) {
      reasons?.push(
        `argument '${name}' must be ${expectation(parameter)}, found ${finding(value)}`,
      );
      return null;
    }
  }
  return natives;
}

function finisher({ parameters, returns }: Schema): Overload['finish'] {
  const finishers = returns.map(({ type, writes }): Overload['finish'] => {
    const index = writes === null ? -1 : parameters.findIndex((p) => p.writes === writes);
    if (index < 0) return (result) => wrapResult(result, type);
    const { key } = parameters[index]!;
    return (result, args, options) => written(args[index] ?? options?.[key], result);
  });
  if (finishers.length === 0) return () => undefined;
  if (finishers.length === 1) return finishers[0]!;
  const names = resultNames(returns);
  return (results, args, options) => {
    const list = (results as NativeResult[]).map((result, i) =>
      finishers[i]!(result, args, options),
    );
    return names === null ? list : Object.setPrototypeOf(list, names);
  };
}

/**
 * The prototype of an array whose items have the names that the schema gives the results, or null where it
 * does not. A prototype set on an array costs a fraction of an instance of a subclass.
 */
function resultNames(returns: readonly Return[]): object | null {
  if (returns.some(({ name }) => name === null)) return null;
  const names: PropertyDescriptorMap = {};
  returns.forEach(({ name }, i) => {
    names[camelCase(name!)] = {
      get(this: unknown[]) {
        return this[i];
      },
    };
  });
  return Object.create(Array.prototype, names);
}

function wrapResult(result: NativeResult, type: Return['type']): unknown {
  if (type.kind === 'Tensor') {
    if (!type.list) return wrapOptional(result as Handle | null);
    return (result as (Handle | null)[]).map(
      type.optionalElements ? wrapOptional : (wrap as typeof wrapOptional),
    );
  }
  if (type.kind === 'ScalarType') return dtypeName(result as number);
  return result;
}
