/** What raw label values mean: which class each is of. */

import { checkArguments } from '../torch/check-arguments.js';
import * as is from '../torch/rules.js';
import { IGNORE_LABEL } from './classes.js';
import { DataError } from './errors.js';
import { labelRuleOptionsShape, labelRuleShape } from './rules.js';

/** What a user says of the values of labels, beside an offset. */
export interface LabelOptions {
  /**
   * The class (its index or its name, or `void`) of raw values, or of colours: `{ 255: 1 }`,
   * `{ '#ff0000': 'road', '0,0,255': 'sky' }`. Values that are not listed are classes themselves, but
   * for those whose class is listed for another value; colours that are not listed are none.
   */
  readonly map?: Readonly<Record<string, number | string>>;
  /** Raw values or colours that are void, beside 255; `others`: all that `map` does not list. */
  readonly void?: readonly (number | string)[] | 'others';
}

/** How stored labels become classes. */
export interface LabelRuleOptions {
  readonly numClasses: number;
  /** Subtracted from raw values that `labels.map` does not list; those below it are void. Default 0. */
  readonly labelOffset?: number;
  readonly labels?: LabelOptions;
  /** The names that `labels.map` may use. */
  readonly classNames?: readonly string[];
}

/** How raw values become classes; plain data, which can be sent to a worker. */
export interface LabelRule {
  readonly numClasses: number;
  readonly offset: number;
  /** Whether labels are colours, 0xrrggbb, and not numbers. */
  readonly colours: boolean;
  /** Class or 255 of the raw values that were listed. */
  readonly listed: ReadonlyMap<number, number>;
  /** Whether all other values are void. */
  readonly othersAreVoid: boolean;
}

/** What `classOf` says of a value that is neither a class nor void. */
export const NO_CLASS = 256;

/**
 * Makes the rule of a data set.
 * @throws DataError M3L_DATA_OPTIONS
 */
export function labelRule(options: LabelRuleOptions): LabelRule {
  checkArguments('labelRule', { options }, { options: labelRuleOptionsShape });

  const { numClasses, labelOffset = 0, labels = {} } = options;
  const { map = {}, void: voids = [] } = labels;
  const listed = new Map<number, number>();
  const kinds = new Set<boolean>();
  const list = (key: string, raw: string, found: number) => {
    const { value, colour } = parseRaw(key, raw);
    kinds.add(colour);
    const known = listed.get(value);
    if (known !== undefined && known !== found) {
      throw invalid(key, `found '${raw}' twice, expected one class for it.`);
    }
    listed.set(value, found);
  };
  for (const [raw, given] of Object.entries(map)) list('map', raw, classIndex(raw, given, options));
  if (voids !== 'others') for (const raw of voids) list('void', String(raw), IGNORE_LABEL);
  if (kinds.size > 1) throw invalid('map', 'found colours and numbers, expected one of the two.');
  if (voids === 'others' && listed.size === 0) {
    throw invalid('void', "found 'others' without a map, expected raw values.");
  }
  const colours = kinds.has(true);
  if (colours && labelOffset !== 0) {
    throw invalid('map', 'found colours beside a labelOffset, which they have none of: remove it.');
  }
  const othersAreVoid = voids === 'others';
  return { numClasses, offset: labelOffset, colours, listed, othersAreVoid };
}

/** The class of a raw value, 255 where it is void, or `NO_CLASS`. */
export function classOf(raw: number, rule: LabelRule): number {
  checkArguments('classOf', { raw, rule }, { raw: is.number, rule: labelRuleShape });
  return classByRule(raw, rule);
}

/** As `classOf`, of many values by a rule that is known for one. */
export function classByRule(raw: number, rule: LabelRule): number {
  const found = rule.listed.get(raw);
  if (found !== undefined) return found;
  if (rule.othersAreVoid) return IGNORE_LABEL;
  if (rule.colours) return NO_CLASS;
  if (raw === IGNORE_LABEL || (raw >= 0 && raw < rule.offset)) return IGNORE_LABEL;
  const index = raw - rule.offset;
  if (index < 0 || index >= rule.numClasses) return NO_CLASS;
  return listedFor(index, rule) === null ? index : NO_CLASS;
}

/** The first raw value that is listed as a class; null where none is. */
export function listedFor(index: number, { listed }: LabelRule): number | null {
  for (const [raw, found] of listed) if (found === index) return raw;
  return null;
}

/** A raw value as a configuration writes it: a number, or `#rrggbb`. */
export function rawText(raw: number, colours: boolean): string {
  checkArguments('rawText', { raw, colours }, { raw: is.number, colours: is.flag });

  return colours ? `#${raw.toString(16).padStart(6, '0')}` : String(raw);
}

/**
 * What to write, in a file and on the command line: the `labels.map` that makes classes of the values that labels were found to hold, in their order;
 * null where they are classes already, or one alone, or too many. 255 counts as a value like any other.
 */
export function suggestLabelMap(
  values: readonly number[],
  numClasses: number,
  colours = false,
): string | null {
  checkArguments(
    'suggestLabelMap',
    { values, numClasses, colours },
    { values: is.listOf(is.finite), numClasses: is.finite, colours: is.flag },
  );

  const sorted = [...values].sort((a, b) => a - b);
  const asked = sorted.flatMap((raw, index) => (raw === index && !colours ? [] : [{ raw, index }]));
  if (sorted.length < 2 || sorted.length > numClasses) return null;
  if (asked.length === 0 || asked.length > 16) return null;
  const entries = asked.map(({ raw, index }) => {
    const text = rawText(raw, colours);
    // A shell's single quotes would end at one of YAML's.
    return `${colours ? `"${text}"` : text}: ${index}`;
  });
  const map = `{ ${entries.join(', ')} }`;
  return `data.labels.map: ${map} (--set 'data.labels.map=${map}')`;
}

function parseRaw(key: string, text: string): { value: number; colour: boolean } {
  const plain = text.replaceAll(' ', '');
  if (/^#[0-9a-f]{6}$/i.test(plain)) {
    return { value: Number.parseInt(plain.slice(1), 16), colour: true };
  }
  if (/^\d{1,3},\d{1,3},\d{1,3}$/.test(plain)) {
    const [red, green, blue] = plain.split(',').map(Number) as [number, number, number];
    if (Math.max(red, green, blue) <= 255) {
      return { value: (red << 16) | (green << 8) | blue, colour: true };
    }
  }
  if (/^-?\d{1,10}$/.test(plain)) return { value: Number(plain), colour: false };
  throw invalid(
    key,
    `found '${text}', expected a whole number, or a colour: '#rrggbb' or 'r,g,b'.`,
  );
}

function classIndex(
  raw: string,
  given: number | string,
  { numClasses, classNames = [] }: LabelRuleOptions,
): number {
  const index = typeof given === 'string' ? classNames.indexOf(given) : given;
  if (index === IGNORE_LABEL || (given === 'void' && index < 0)) return IGNORE_LABEL;
  if (Number.isInteger(index) && index >= 0 && index < numClasses) return index;
  const named = classNames.length > 0 ? `, or one of ${classNames.join(', ')}` : '';
  throw invalid(
    'map',
    `found '${raw}: ${given}', expected a class from 0 to ${numClasses - 1}${named}, or void.`,
  );
}

function invalid(key: string, message: string): DataError {
  return new DataError('M3L_DATA_OPTIONS', `labels.${key}: ${message}`);
}
