/** What arguments must be, as values: one line a function, where TypeScript has not checked its caller. */
import { ArgumentError, describe } from './errors.js';
import { Tensor } from './tensor.js';

/** What a value must be, in words that follow "expected". */
export interface Rule {
  readonly expected: string;
  holds(value: unknown): boolean;
}

/** One rule for each option. */
export type Rules<Options> = { readonly [Key in keyof Options]-?: Rule };

const rule = (expected: string, holds: (value: unknown) => boolean): Rule => ({ expected, holds });
const isNumber = (value: unknown): value is number => Number.isFinite(value);
const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null;

export const finite = rule('a number', isNumber);
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
export const betas = rule(
  'two numbers in [0, 1)',
  (v) => Array.isArray(v) && v.length === 2 && v.every(belowOne.holds),
);
export const text = rule('a string', (v) => typeof v === 'string');
export const callback = rule('a function', (v) => typeof v === 'function');
export const tensor = rule('a Tensor', (v) => v instanceof Tensor);
export const record = rule('an object', (v) => isRecord(v) && !Array.isArray(v));
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
  return rule(`a list, each ${item.expected}`, (v) => Array.isArray(v) && v.every(item.holds));
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
  return rule(
    shown === '' ? what : `${what} (with ${shown})`,
    (v) => isRecord(v) && entries.every(([name, { holds }]) => holds(v[name])),
  );
}

/** An instance of a class. */
export function instance(kind: abstract new (...args: never[]) => unknown): Rule {
  return rule(`a ${kind.name}`, (v) => v instanceof kind);
}

/** Either of two rules. */
export function either(one: Rule, other: Rule): Rule {
  return rule(`${one.expected} or ${other.expected}`, (v) => one.holds(v) || other.holds(v));
}

/** What may be left out. */
export function maybe(one: Rule): Rule {
  return rule(`${one.expected}, or undefined`, (v) => v === undefined || one.holds(v));
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
  for (const [name, { expected, holds }] of Object.entries<Rule>(rules)) {
    const value = options[name as keyof Options];
    if (holds(value)) continue;
    const found = Array.isArray(value) ? `[${value.map(describe)}]`.slice(0, 60) : describe(value);
    return `found ${found} for ${name}, expected ${expected}`;
  }
  return null;
}

/** @throws ArgumentError that names the first argument that is not what it must be, its value and that */
export function checkArguments<Arguments extends object>(
  where: string,
  args: Arguments,
  rules: Rules<Arguments>,
): void {
  const broken = brokenRule(args, rules);
  if (broken !== null) throw new ArgumentError(`${where}: ${broken}`);
}
