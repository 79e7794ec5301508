/**
 * Calls of operators by name: picks the overload that the arguments fit and converts them by its
 * schema. Every operator without a direct path of its own goes through here.
 */
import { refresh } from './context.js';
import { convert, expectation, finding, mismatch } from './convert.js';
import { dtypeName } from './dtype.js';
import { ArgumentError, M3lError } from './errors.js';
import { core, type Handle, type NativeResult } from './native.js';
import { isPlainObject } from './plain-object.js';
import { parseSchema, type Return, type Schema } from './schema.js';
import { Tensor, wrap, wrapOptional, written } from './tensor.js';

type Options = Readonly<Record<string, unknown>>;

/** One overload, ready to call. */
interface Overload {
  readonly id: number;
  readonly schema: Schema;
  readonly positional: number;
  readonly keys: ReadonlySet<string>;
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
  return {
    id,
    schema,
    positional: schema.parameters.filter(({ keywordOnly }) => !keywordOnly).length,
    keys: new Set(schema.parameters.map(({ key }) => key)),
    finish: finisher(schema),
  };
}

/** Takes the trailing options object off the arguments, and `undefined` at their end with it. */
function takeOptions(args: unknown[]): Options | undefined {
  trimUndefined(args);
  const last = args.at(-1);
  if (typeof last !== 'object' || last === null || last instanceof Tensor) return undefined;
  if (!isPlainObject(last)) return undefined;
  args.pop();
  trimUndefined(args);
  return last as Options;
}

function trimUndefined(args: unknown[]): void {
  while (args.length > 0 && args[args.length - 1] === undefined) args.pop();
}

/** The arguments as the core takes them, or null where they do not fit (and then why, if asked). */
function bind(
  { schema, positional, keys }: Overload,
  args: readonly unknown[],
  options: Options | undefined,
  reasons?: string[],
): unknown[] | null {
  const { parameters } = schema;
  if (args.length > positional) {
    reasons?.push(`takes ${positional} positional arguments, found ${args.length}`);
    return null;
  }
  for (const key in options) {
    if (keys.has(key) || options[key] === undefined) continue;
    reasons?.push(`has no argument '${key}'; it has ${[...keys].join(', ')}`);
    return null;
  }
  const natives = new Array<unknown>(parameters.length);
  for (let i = 0; i < parameters.length; i++) {
    const { key, name, type, hasDefault } = parameters[i]!;
    const positionally = i < args.length ? args[i] : undefined;
    const named = options?.[key];
    if (positionally !== undefined && named !== undefined) {
      reasons?.push(`argument '${name}' is given twice, by position and by name`);
      return null;
    }
    const value = positionally ?? named ?? positionally;
    if (value === undefined) {
      if (hasDefault) continue;
      if (type.optional && i < args.length) {
        natives[i] = null;
        continue;
      }
      reasons?.push(`argument '${name}' is missing; expected ${expectation(type)}`);
      return null;
    }
    natives[i] = convert(value, type);
    if (natives[i] === mismatch) {
      reasons?.push(`argument '${name}' must be ${expectation(type)}, found ${finding(value)}`);
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
  return (results, args, options) =>
    (results as NativeResult[]).map((result, i) => finishers[i]!(result, args, options));
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
