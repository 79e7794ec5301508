/** Arguments as Python's: by position, the last ones by name in an options object. */
import { ArgumentError } from './errors.js';
import { isPlainObject } from './plain-object.js';
import { handleOf, Tensor } from './tensor.js';

export type Options = Readonly<Record<string, unknown>>;

/** Takes the trailing options object off the arguments, and `undefined` at their end with it. */
export function takeOptions(args: unknown[]): Options | undefined {
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

/**
 * The values of a composite's parameters: `defaults` names them in their order, of which the first
 * `positional` may come by position.
 * @throws ArgumentError for a name that is none, or too many arguments
 */
export function bindArguments<T extends object>(
  where: string,
  given: readonly unknown[],
  defaults: T,
  positional = Number.POSITIVE_INFINITY,
): T {
  const names = Object.keys(defaults) as (keyof T & string)[];
  const args = [...given];
  const options = takeOptions(args);
  const most = Math.min(positional, names.length);
  if (args.length > most) {
    throw new ArgumentError(
      `${where}: takes ${most} arguments by position, found ${args.length}; by name it has ${names.join(', ')}`,
    );
  }
  const bound = { ...defaults };
  args.forEach((value, i) => {
    if (value !== undefined) bound[names[i]!] = value as T[keyof T & string];
  });
  for (const [key, value] of Object.entries(options ?? {})) {
    if (value === undefined) continue;
    const place = names.indexOf(key as keyof T & string);
    if (place < 0) {
      throw new ArgumentError(
        `${where}: has no argument '${key}', expected one of ${names.join(', ')}`,
      );
    }
    if (place < args.length && args[place] !== undefined) {
      throw new ArgumentError(
        `${where}: argument '${key}' is given twice, by position and by name`,
      );
    }
    bound[names[place]!] = value as T[keyof T & string];
  }
  return bound;
}

/** @throws ArgumentError where `value` is no Tensor */
export function requireTensor(
  value: unknown,
  where: string,
  name: string,
): asserts value is Tensor {
  handleOf(value, where, name);
}
