import { exponential, fixed } from './numbers.js';
import { getPrintOptions } from './options.js';

/** How the elements of a tensor are written: all alike, at one width. */
export interface Formatter {
  readonly width: number;
  format(value: number | bigint): string;
}

/** Whole numbers and booleans. */
export function wholeFormatter(values: readonly (number | bigint)[], isBool: boolean): Formatter {
  const text = (value: number | bigint) => {
    if (!isBool) return String(value);
    return value ? 'True' : 'False';
  };
  return aligned(text, widest(values, text));
}

/**
 * Floating-point numbers: whole ones with a point, others with digits after it, and with an exponent
 * where the largest is a thousand times the smallest, or they are very large or very small.
 */
export function floatFormatter(values: readonly number[]): Formatter {
  const { precision, sciMode } = getPrintOptions();
  const finite = values.filter((value) => Number.isFinite(value) && value !== 0);
  if (finite.length === 0) return aligned((value) => wholeText(Number(value)), 1);
  const magnitudes = finite.map(Math.abs);
  const least = magnitudes.reduce((a, b) => Math.min(a, b));
  const most = magnitudes.reduce((a, b) => Math.max(a, b));
  const scientific = sciMode ?? (most / least > 1000 || most > 1e8 || least < 1e-4);
  const whole = finite.every(Number.isInteger);
  const text = (value: number | bigint) => {
    const number = Number(value);
    if (scientific) return exponential(number, precision);
    return whole ? wholeText(number) : fixed(number, precision);
  };
  return aligned(text, widest(finite, text));
}

function wholeText(value: number): string {
  return `${fixed(value, 0)}${Number.isFinite(value) ? '.' : ''}`;
}

type Text = (value: number | bigint) => string;

function widest(values: readonly (number | bigint)[], text: Text): number {
  return values.reduce<number>((width, value) => Math.max(width, text(value).length), 1);
}

function aligned(text: Text, width: number): Formatter {
  return { width, format: (value) => text(value).padStart(width) };
}
