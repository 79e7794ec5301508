import { InvalidArgumentError } from 'commander';
import { meant, nearest } from '../experiment/nearest.js';

/** Which of a run's checkpoints. */
export const CHECKPOINTS = ['best', 'latest'] as const;

// Readers of an option's text, for commander: their error follows "option '…' argument '…' is invalid."

/** One of a few words. */
export function oneOf<Word extends string>(known: readonly Word[]): (text: string) => Word {
  return (text) => {
    const found = known.find((word) => word === text);
    if (found !== undefined) return found;
    throw new InvalidArgumentError(unknownWord(text, known));
  };
}

/** Several of a few words, each once, separated by commas or as values of their own. */
export function someOf<Word extends string>(known: readonly Word[]) {
  return list(oneOf(known));
}

/** As `someOf`, of words that only the command itself can check. */
export const words = list((text) => text);

export const device = (text: string): string => {
  if (/^(cpu|cuda(:\d+)?)$/.test(text)) return text;
  const near = nearest(text, ['cpu', 'cuda', 'cuda:0']);
  throw new InvalidArgumentError(`Expected cpu, cuda or cuda:N.${meant(near)}`);
};

export const deviceOrAuto = (text: string): string => (text === 'auto' ? text : device(text));

export function wholeNumber({ least = 1, most = 2 ** 32 - 1 } = {}): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (value >= least && value <= most) return value;
    throw new InvalidArgumentError(`Expected a whole number from ${least} to ${most}.`);
  };
}

/** A number of at least 0. */
export function number(most = Number.MAX_VALUE): (text: string) => number {
  return (text) => {
    const value = numberIn(text);
    if (value <= most) return value;
    const range = most < Number.MAX_VALUE ? `from 0 to ${most}` : 'of at least 0';
    throw new InvalidArgumentError(`Expected a number ${range}.`);
  };
}

/** A number above 0. */
export function positiveNumber(most: number): (text: string) => number {
  return (text) => {
    const value = numberIn(text);
    if (value > 0 && value <= most) return value;
    throw new InvalidArgumentError(`Expected a number above 0, at most ${most}.`);
  };
}

/** NaN where a text is no number of at least 0. */
function numberIn(text: string): number {
  return /^(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : Number.NaN;
}

/** `HEIGHTxWIDTH` in pixels. */
export function pictureSize(text: string): [number, number] {
  const [, height, width] = /^(\d+)x(\d+)$/.exec(text) ?? [];
  const side = (part: string | undefined) => {
    const value = Number(part);
    if (value >= 1 && value <= 4096) return value;
    throw new InvalidArgumentError(
      'Expected HEIGHTxWIDTH, each from 1 to 4096, for example 120x160.',
    );
  };
  return [side(height), side(width)];
}

const MOST_SEEDS = 100;

/** `3`: the seeds 1, 2 and 3; `11,12,13`: these; `11,`: this one. */
export function seeds(text: string): number[] {
  if (!text.includes(',')) {
    const count = wholeNumber({ most: MOST_SEEDS })(text);
    return Array.from({ length: count }, (_, index) => index + 1);
  }
  return list(wholeNumber({ least: 0 }))(text.replace(/,$/, ''));
}

/** `name=value` texts as a record; commander's list of them so far is `before`. */
export function pair(text: string, before: Record<string, string> = {}): Record<string, string> {
  const equals = text.indexOf('=');
  const name = text.slice(0, equals);
  if (Object.hasOwn(before, name)) throw new InvalidArgumentError(`'${name}' is given twice.`);
  if (equals + 1 === text.length) throw new InvalidArgumentError(`'${name}' has no value.`);
  return { ...before, [name]: text.slice(equals + 1) };
}

/** What of `known` an unknown word may stand for. */
export function unknownWord(word: string, known: readonly string[]): string {
  const rest = known.slice(0, -1).join(', ');
  const all = rest === '' ? known.join() : `${rest} or ${known.at(-1)}`;
  return `Expected ${all}.${meant(nearest(word, known))}`;
}

/** Reads `a,b`, and goes on with what the option's earlier values gave. */
function list<Value>(read: (text: string) => Value) {
  return (text: string, before?: Value[]): Value[] => {
    const parts = text.split(',').map((part) => part.trim());
    const all = [...(before ?? []), ...parts.map(read)];
    const twice = all.find((value, index) => all.indexOf(value) !== index);
    if (twice !== undefined) throw new InvalidArgumentError(`'${twice}' is given twice.`);
    return all;
  };
}
