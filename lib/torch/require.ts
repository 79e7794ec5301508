/** Arguments that TypeScript has checked where the caller is TypeScript: other callers get a sentence. */
import { ArgumentError, describe } from './errors.js';

/** Throws M3L_ARGUMENT where `value` is no function to call without `new`. */
export function requireFunction(value: unknown, where: string): void {
  if (typeof value !== 'function' || isClass(value)) refuse(value, where, 'a function');
}

/** Arrow functions, as most are, have no prototype, and are told without a look at their text. */
export function isClass(value: unknown): boolean {
  const { prototype } = value as { prototype?: unknown };
  return prototype !== undefined && /^class\b/.test(Function.prototype.toString.call(value));
}

/** Throws M3L_ARGUMENT where `value` is no string, of a path for one. */
export function requireText(value: unknown, where: string, what: string): void {
  if (typeof value !== 'string') refuse(value, where, what);
}

/** Throws M3L_ARGUMENT where `value` has no properties to be read. */
export function requireObject(value: unknown, where: string, what: string): void {
  if (typeof value !== 'object' || value === null) refuse(value, where, what);
}

/** Throws M3L_ARGUMENT where `value` is no list, Set or other iterable object. */
export function requireIterable(value: unknown, where: string): void {
  const iterable = typeof value === 'object' && value !== null && Symbol.iterator in value;
  if (!iterable) refuse(value, where, 'a list');
}

/** Throws M3L_ARGUMENT where one of the values by name is no integer. */
export function requireIntegers(values: Record<string, unknown>, where: string): void {
  for (const [name, value] of Object.entries(values)) {
    if (!Number.isInteger(value)) refuse(value, `${where}: ${name}`, 'an integer');
  }
}

/**
 * Options over their defaults, where `undefined` is none.
 * @throws ArgumentError for a name that is no option, such as one with a typo
 */
export function withDefaults<Options extends object>(
  where: string,
  defaults: Options,
  options: { [Key in keyof Options]?: Options[Key] | undefined },
): Options {
  requireObject(defaults, where, 'options and their defaults');
  requireObject(options, where, `options (${Object.keys(defaults).join(', ')})`);
  const stray = Object.keys(options).find((key) => !Object.hasOwn(defaults, key));
  if (stray !== undefined) {
    const known = Object.keys(defaults).join(', ');
    throw new ArgumentError(`${where}: found the option '${stray}', expected one of ${known}`);
  }
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  return { ...defaults, ...Object.fromEntries(given) };
}

function refuse(value: unknown, where: string, what: string): never {
  throw new ArgumentError(`${where}: found ${describe(value)}, expected ${what}`);
}
