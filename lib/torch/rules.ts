/** What arguments must be, as values: one line a function, where TypeScript has not checked its caller. */

import { describe } from './errors.js';
import { isClass } from './require.js';
import { Tensor } from './tensor.js';

/** What a value must be, in words that follow "expected". */
export interface Rule {
  readonly expected: string;
  holds(value: unknown): boolean;
  /** The parts of a value that have rules of their own, where it is of the kind that has them. */
  parts?(value: unknown): Iterable<Part>;
}

type Part = readonly [place: string, value: unknown, rule: Rule];

/** One rule for each option. */
export type Rules<Options> = { readonly [Key in keyof Options]-?: Rule };

const rule = (expected: string, holds: (value: unknown) => boolean): Rule => ({ expected, holds });
const isNumber = (value: unknown): value is number => Number.isFinite(value);
const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null;

export const finite = rule('a number', isNumber);
/** Also NaN and the infinities. */
export const number = rule('a number', (v) => typeof v === 'number');
export const notNegative = rule('a number that is not negative', (v) => isNumber(v) && v >= 0);
export const positive = rule('a positive number', (v) => isNumber(v) && v > 0);
export const fraction = rule('a number in [0, 1]', (v) => isNumber(v) && v >= 0 && v <= 1);
export const belowOne = rule('a number in [0, 1)', (v) => isNumber(v) && v >= 0 && v < 1);
export const flag = rule('true or false', (v) => typeof v === 'boolean');
export const integer = rule('an integer', (v) => Number.isSafeInteger(v));
export const count = rule('a positive integer', (v) => Number.isSafeInteger(v) && Number(v) > 0);
export const index = rule(
  'an integer that is not negative',
  (v) => Number.isSafeInteger(v) && Number(v) >= 0,
);
/** Of an array that JavaScript can make. */
export const size = rule(
  'an integer from 0 on, below 2^32',
  (v) => Number.isInteger(v) && Number(v) >= 0 && Number(v) < 2 ** 32,
);
export const betas = rule(
  'two numbers in [0, 1)',
  (v) => Array.isArray(v) && v.length === 2 && v.every(belowOne.holds),
);
export const text = rule('a string', (v) => typeof v === 'string');
/** To be called without `new`. */
export const callback = rule('a function', (v) => typeof v === 'function' && !isClass(v));
export const tensor = rule('a Tensor', (v) => v instanceof Tensor);
export const record = rule('an object', (v) => isRecord(v) && !Array.isArray(v));
/** Anything to go through by `for` or `for await`, but a text. */
export const iterable = rule(
  'something to iterate over',
  (v) => isRecord(v) && (Symbol.iterator in v || Symbol.asyncIterator in v),
);
export const list = rule('a list', (v) => Array.isArray(v));
/** Numbers in a list or a typed array. */
export const numbers = rule(
  'numbers in a list or a typed array',
  (v) => (Array.isArray(v) && v.every(isNumber)) || (ArrayBuffer.isView(v) && 'length' in v),
);
export const anything = rule('anything', () => true);

export function oneOf(...choices: readonly string[]): Rule {
  return rule(`one of '${choices.join("', '")}'`, (v) => choices.includes(v as string));
}

/** A list in which a rule holds for every item. */
export function listOf(item: Rule): Rule {
  return {
    ...rule(`a list, each ${item.expected}`, (v) => Array.isArray(v) && v.every(item.holds)),
    *parts(v) {
      for (const [i, each] of Array.isArray(v) ? v.entries() : []) yield [`[${i}]`, each, item];
    },
  };
}

/** A list as the rule says, with something in it. */
export function filled(list: Rule): Rule {
  return rule(`${list.expected}, not empty`, (v) => list.holds(v) && (v as unknown[]).length > 0);
}

/** An object in which a rule holds for every value. */
export function recordOf(item: Rule): Rule {
  return rule(
    `an object, each value ${item.expected}`,
    (v) => record.holds(v) && Object.values(v as object).every(item.holds),
  );
}

/** An object with such members, whatever else it has; `what` names it. */
export function shape(what: string, members: Readonly<Record<string, Rule>>): Rule {
  const entries = Object.entries(members);
  const shown = entries.map(([name]) => name).join(', ');
  return {
    ...rule(
      shown === '' ? what : `${what} (with ${shown})`,
      (v) => isRecord(v) && entries.every(([name, { holds }]) => holds(v[name])),
    ),
    *parts(v) {
      if (!isRecord(v)) return;
      for (const [name, member] of entries) yield [`.${name}`, v[name], member];
    },
  };
}

/** An instance of a class, whose constructor may be private. */
export function instance(kind: { readonly name: string; readonly prototype: object }): Rule {
  return rule(`a ${kind.name}`, (v) => v instanceof (kind as new () => unknown));
}

/** Either of two rules. */
export function either(one: Rule, other: Rule): Rule {
  return rule(`${one.expected} or ${other.expected}`, (v) => one.holds(v) || other.holds(v));
}

/** What may be left out. */
export function maybe(one: Rule): Rule {
  return rule(`${one.expected}, or undefined`, (v) => v === undefined || one.holds(v));
}

/** A number that has a bound, too. */
export function atMost(one: Rule, most: number): Rule {
  return rule(`${one.expected}, at most ${most}`, (v) => one.holds(v) && Number(v) <= most);
}

/** What may be null. */
export function orNull(one: Rule): Rule {
  return rule(`${one.expected} or null`, (v) => v === null || one.holds(v));
}

/** What is wrong with the first value that breaks its rule, or null. */
export function brokenRule<Options extends object>(
  options: Options,
  rules: Rules<Options>,
): string | null {
  for (const [name, one] of Object.entries<Rule>(rules)) {
    const value = options[name as keyof Options];
    if (!one.holds(value)) return faultOf(name, value, one);
  }
  return null;
}

/** The innermost part that breaks its rule; a member that is not there at all is told by its owner. */
function faultOf(name: string, value: unknown, { expected, parts }: Rule): string {
  for (const [place, part, inner] of parts?.(value) ?? []) {
    if (part === undefined || inner.holds(part)) continue;
    return faultOf(`${name}${place}`, part, inner);
  }
  const found = Array.isArray(value) ? `[${value.map(describe)}]`.slice(0, 60) : describe(value);
  return `found ${found} for ${name}, expected ${expected}`;
}
