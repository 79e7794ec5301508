/**
 * `torch.ops.NAMESPACE.NAME(…)` and `torch.ops.NAMESPACE.NAME.OVERLOAD(…)`: every registered operator
 * by the name in its schema, with the argument rules of the generated functions.
 */
import { M3lError } from './errors.js';
import type { OwnOperators } from './generated/m3l.js';
import { callable, callableAsync, Family } from './invoke.js';
import { core } from './native.js';
import { compareOverloads, isOutVariant, parseSchema, type Schema } from './schema.js';

/** Calls one overload; the result is typed by the caller. */
export interface OverloadFunction {
  (...args: unknown[]): unknown;
  /**
   * The same on a thread of Node's pool, so that the event loop goes on; the results belong to the scope
   * that awaits them. Arguments stay as they are until then: what is written in place meanwhile, and read
   * there, may be read half.
   */
  readonly async: (...args: unknown[]) => Promise<unknown>;
}
/** Calls whichever overload fits; its properties are the overloads, the unnamed one as `default`. */
export type OperatorFunction = OverloadFunction & Readonly<Record<string, OverloadFunction>>;
export type OperatorNamespace = Readonly<Record<string, OperatorFunction>>;

/**
 * Every operator that is registered, by namespace and name, with the rules for arguments of the typed
 * functions: `torch.ops.aten.mm(a, b)`, `torch.ops.aten.add.Tensor(a, b)`, and on another thread
 * `await torch.ops.aten.mm.async(a, b)`. Of `m3l`'s the types are known, of the others what comes back is
 * the caller's to say.
 * @throws M3lError M3L_UNKNOWN_OPERATOR
 */
export const ops: { readonly m3l: OwnOperators } & Readonly<Record<string, OperatorNamespace>> =
  lazyRecord((namespace) =>
    lazyRecord((name) => operatorFunction(`${namespace}::${name}`)),
  ) as never;

let catalogue: Map<string, string[]> | null = null;

/** Texts of the schemas of a name; read anew once where a library may have added it since. */
function schemasOf(name: string): string[] {
  if (!catalogue?.has(name)) {
    catalogue = new Map();
    for (const text of core.operators()) {
      const key = text.slice(0, text.search(/[.(]/));
      const known = catalogue.get(key);
      if (known) known.push(text);
      else catalogue.set(key, [text]);
    }
  }
  return catalogue.get(name) ?? [];
}

function operatorFunction(name: string): OperatorFunction {
  const texts = schemasOf(name);
  if (texts.length === 0) {
    throw new M3lError(
      'M3L_UNKNOWN_OPERATOR',
      `no operator ${name} is registered in this libtorch${similar(name)}`,
    );
  }
  const schemas = texts.map(parseSchema).filter((schema): schema is Schema => schema !== null);
  schemas.sort(
    (a, b) => Number(isOutVariant(a)) - Number(isOutVariant(b)) || compareOverloads(a, b),
  );
  const overloads = schemas.map(({ overload }) => overload);
  const call = overloadFunction(new Family(name, overloads)) as OperatorFunction;
  for (const overload of overloads) {
    Object.defineProperty(call, overload === '' ? 'default' : overload, {
      value: overloadFunction(new Family(name, [overload])),
    });
  }
  return new Proxy(call, {
    get(target, key) {
      if (typeof key === 'string' && !(key in target)) {
        throw new M3lError(
          'M3L_UNKNOWN_OPERATOR',
          `${name} has no overload '${key}'; it has ${overloads.map((o) => o || 'default').join(', ')}`,
        );
      }
      return Reflect.get(target, key);
    },
  });
}

function overloadFunction(family: Family): OverloadFunction {
  return Object.assign(callable(family), { async: callableAsync(family) });
}

function similar(name: string): string {
  const [namespace, short = ''] = name.split('::');
  const snake = short.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  if (snake !== short && schemasOf(`${namespace}::${snake}`).length > 0) {
    return `; torch.ops takes the schema's names: ${snake}`;
  }
  return '';
}

function lazyRecord<T>(make: (key: string) => T): Readonly<Record<string, T>> {
  const made = new Map<string, T>();
  return new Proxy({} as Record<string, T>, {
    get(_, key) {
      // Inspection and promise resolution ask for these; they are no operators.
      if (typeof key !== 'string' || key === 'then' || key === 'toJSON') return undefined;
      if (!made.has(key)) made.set(key, make(key));
      return made.get(key);
    },
  });
}
