/** Constructor arguments that libtorch would refuse late, or not at all. */
import { ArgumentError, describe } from '../torch/errors.js';
import { Tensor } from '../torch/index.js';

/** Throws M3L_ARGUMENT where one of the values by name is no integer from `least` on. */
export function requireCounts(where: string, values: Record<string, unknown>, least = 1): void {
  for (const [name, value] of Object.entries(values)) {
    if (Number.isInteger(value) && (value as number) >= least) continue;
    refuse(where, name, value, `an integer from ${least} on`);
  }
}

/** Throws M3L_ARGUMENT where `value` is not one of the choices. */
export function requireChoice(
  where: string,
  name: string,
  value: unknown,
  choices: readonly string[],
): void {
  if (choices.includes(value as string)) return;
  refuse(where, name, value, `one of ${choices.map((choice) => `'${choice}'`).join(', ')}`);
}

/** Throws M3L_ARGUMENT where `value` is neither an integer from `least` on nor a list of `count` such. */
export function requireSizes(
  where: string,
  name: string,
  value: unknown,
  count: number,
  least = 1,
): void {
  const fits = (size: unknown) => Number.isInteger(size) && (size as number) >= least;
  const list = Array.isArray(value) && (value.length === count || value.length === 1);
  if (list ? value.every(fits) : fits(value)) return;
  const some = count === 1 ? 'an integer' : `an integer or ${count} of them`;
  const bound = Number.isFinite(least) ? `${count === 1 ? '' : ','} from ${least} on` : '';
  refuse(where, name, value, `${some}${bound}`);
}

/** Throws M3L_ARGUMENT where a value by name is no finite number in [low, high]. */
export function requireNumbers(
  where: string,
  values: Record<string, unknown>,
  low = Number.NEGATIVE_INFINITY,
  high = Number.POSITIVE_INFINITY,
): void {
  for (const [name, value] of Object.entries(values)) {
    if (typeof value === 'number' && value >= low && value <= high) continue;
    const bounds =
      low === Number.NEGATIVE_INFINITY
        ? ''
        : high === Infinity
          ? ` from ${low} on`
          : ` in [${low}, ${high}]`;
    refuse(where, name, value, `a number${bounds}`);
  }
}

/** Throws M3L_ARGUMENT where an option is a number or a boolean by default, and not as given. */
export function requireKinds(where: string, options: object, defaults: object): void {
  const given = options as Record<string, unknown>;
  for (const [name, usual] of Object.entries(defaults)) {
    const kind = typeof usual;
    if ((kind !== 'number' && kind !== 'boolean') || typeof given[name] === kind) continue;
    if (kind === 'number' && Array.isArray(given[name])) continue;
    refuse(where, name, given[name], kind === 'number' ? 'a number' : 'true or false');
  }
}

/** Throws M3L_ARGUMENT where channels do not fall into equal groups. */
export function requireDivisor(where: string, groups: number, channels: number): void {
  if (channels % groups === 0) return;
  throw new ArgumentError(
    `${where}: found ${groups} groups of ${channels} channels, expected a divisor of the channels`,
  );
}

/** Throws M3L_ARGUMENT where `value` is no tensor. */
export function requireTensor(where: string, value: unknown): void {
  if (value instanceof Tensor) return;
  throw new ArgumentError(`${where}: found ${describe(value)}, expected a Tensor`);
}

/** Throws M3L_ARGUMENT where a tensor has none of the ranks; `layout` says what they are. */
export function requireRank(
  where: string,
  x: Tensor,
  ranks: readonly number[],
  layout: string,
): void {
  requireTensor(where, x);
  if (ranks.includes(x.ndim)) return;
  throw new ArgumentError(`${where}: found shape [${x.shape}], expected ${layout}`);
}

function refuse(where: string, name: string, value: unknown, expected: string): never {
  throw new ArgumentError(`${where}: found ${describe(value)} for ${name}, expected ${expected}`);
}
