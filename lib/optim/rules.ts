import { describe } from '../torch/errors.js';
import { OptimizerError } from './state.js';

/** What a value must be, in words that follow "expected". */
export interface Rule {
  readonly expected: string;
  holds(value: unknown): boolean;
}

/** One rule for each option. */
export type Rules<Options> = { readonly [Key in keyof Options]-?: Rule };

const rule = (expected: string, holds: (value: unknown) => boolean): Rule => ({ expected, holds });
const isNumber = (value: unknown): value is number => Number.isFinite(value);

export const finite = rule('a number', isNumber);
export const notNegative = rule('a number that is not negative', (v) => isNumber(v) && v >= 0);
export const positive = rule('a positive number', (v) => isNumber(v) && v > 0);
export const fraction = rule('a number in [0, 1]', (v) => isNumber(v) && v >= 0 && v <= 1);
export const belowOne = rule('a number in [0, 1)', (v) => isNumber(v) && v >= 0 && v < 1);
export const flag = rule('true or false', (v) => typeof v === 'boolean');
export const count = rule('a positive integer', (v) => Number.isSafeInteger(v) && Number(v) > 0);
export const index = rule(
  'an integer that is not negative',
  (v) => Number.isSafeInteger(v) && Number(v) >= 0,
);
export const betas = rule(
  'two numbers in [0, 1)',
  (v) => Array.isArray(v) && v.length === 2 && v.every(belowOne.holds),
);

export function oneOf(...choices: readonly string[]): Rule {
  return rule(`one of '${choices.join("', '")}'`, (v) => choices.includes(v as string));
}

/** A list in which a rule holds for every item. */
export function listOf(item: Rule): Rule {
  return rule(`a list, each ${item.expected}`, (v) => Array.isArray(v) && v.every(item.holds));
}

/** Either of two rules. */
export function either(one: Rule, other: Rule): Rule {
  return rule(`${one.expected} or ${other.expected}`, (v) => one.holds(v) || other.holds(v));
}

/** @throws {OptimizerError} that names the first option out of range, its value and what it may be */
export function checkRules<Options extends object>(
  where: string,
  options: Options,
  rules: Rules<Options>,
): void {
  for (const [name, { expected, holds }] of Object.entries<Rule>(rules)) {
    const value = options[name as keyof Options];
    if (holds(value)) continue;
    const found = Array.isArray(value) ? `[${value.map(describe)}]`.slice(0, 60) : describe(value);
    throw new OptimizerError(`${where}: found ${found} for ${name}, expected ${expected}`);
  }
}
