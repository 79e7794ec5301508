/** Label files to classes. */

import { checkArguments } from '../torch/check-arguments.js';
import * as is from '../torch/rules.js';
import { IGNORE_LABEL } from './classes.js';
import { DataError } from './errors.js';
import { readLabels } from './image.js';
import {
  classByRule,
  type LabelRule,
  listedFor,
  NO_CLASS,
  rawText,
  suggestLabelMap,
} from './label-rule.js';
import { native } from './native.js';
import type { Picture } from './picture.js';
import { isNarrow } from './plane.js';
import { labelRuleShape, rawLabelsShape } from './rules.js';

/** The values of a label file, before any rule: integers, or colours as 0xrrggbb. */
export interface RawLabels extends Picture {
  readonly file: string;
  readonly channels: 1;
  readonly colours: boolean;
}

/** Classes 0 .. numClasses − 1 and 255, row by row. */
export interface ClassPicture extends Picture {
  readonly channels: 1;
  readonly data: Uint8Array;
}

/** How many pixels hold a raw value. */
export interface LabelValue {
  readonly raw: number;
  /** As a configuration writes it: `7`, `#ff0000`. */
  readonly text: string;
  readonly pixels: number;
}

/**
 * Reads a label file. Where its rule is of colours, indices of a palette become their colours, and grey
 * is one; else a file of colours stays so, which `applyLabelRule` refuses.
 * @throws DataError as `readLabels`
 */
export async function readRawLabels(
  file: string,
  rule: Pick<LabelRule, 'colours'>,
): Promise<RawLabels> {
  checkArguments(
    'readRawLabels',
    { file, rule },
    { file: is.text, rule: is.shape('options', { colours: is.flag }) },
  );

  const { palette, ...picture } = await readLabels(file);
  const { data, channels } = picture;
  if (channels === 1 && !rule.colours) return { ...picture, channels, file, colours: false };
  if (!(data instanceof Uint8Array)) {
    throw new DataError(
      'M3L_LABEL_FORMAT',
      `${file}: found values of more than 8 bits, expected colours of 8 bits a channel. ` +
        'Store it so, or map its numbers in data.labels.map.',
    );
  }
  return { ...picture, channels: 1, data: packed(data, channels, palette), file, colours: true };
}

/**
 * Raw values to classes 0 .. numClasses − 1 and 255.
 * @throws DataError M3L_LABEL_RANGE, M3L_LABEL_FORMAT: with file, value, place, and what would mend it
 */
export function applyLabelRule(raw: RawLabels, rule: LabelRule): ClassPicture {
  checkArguments('applyLabelRule', { raw, rule }, { raw: rawLabelsShape, rule: labelRuleShape });

  if (raw.colours && !rule.colours) throw unmappedColours(raw, rule);
  const { width, height } = raw;
  const data = new Uint8Array(raw.data.length);
  const wrong = classify(raw.data, rule, data);
  if (wrong >= 0) throw outOfRange(raw, rule, wrong);
  return { width, height, channels: 1, data };
}

/** All raw values, or the first 4096 different ones, in ascending order. */
export function describeLabels(labels: RawLabels): LabelValue[] {
  checkArguments('describeLabels', { labels }, { labels: rawLabelsShape });
  const { data, colours } = labels;

  const counts = new Map<number, number>();
  for (let i = 0; i < data.length; ) {
    const raw = data[i]!;
    const start = i;
    while (i < data.length && data[i] === raw) i++;
    const known = counts.get(raw);
    if (known !== undefined || counts.size < 4096) counts.set(raw, (known ?? 0) + i - start);
  }
  return [...counts]
    .sort(([a], [b]) => a - b)
    .map(([raw, pixels]) => ({ raw, text: rawText(raw, colours), pixels }));
}

/** Colours as 0xrrggbb: of three channels, or of indices into a palette, or of grey. */
function packed(data: Uint8Array, channels: number, palette: Uint8Array | undefined): Uint32Array {
  const from = channels === 3 ? data : palette;
  const out = new Uint32Array(data.length / channels);
  for (let i = 0; i < out.length; i++) {
    const at = channels === 3 ? 3 * i : 3 * data[i]!;
    out[i] = from ? (from[at]! << 16) | (from[at + 1]! << 8) | from[at + 2]! : data[i]! * 0x010101;
  }
  return out;
}

/** Gives the index of the first value that is no class and not void, or −1. */
function classify(data: Picture['data'], rule: LabelRule, out: Uint8Array): number {
  if (isNarrow(data) && !rule.colours) {
    if (rule.listed.size === 0) return native().toClasses(data, rule.numClasses, rule.offset, out);
    return native().lookUp(data, tableOf(rule, data.BYTES_PER_ELEMENT === 1 ? 256 : 65536), out);
  }
  // Few values, in long runs.
  const known = new Map<number, number>();
  let last = Number.NaN;
  let found = NO_CLASS;
  for (let i = 0; i < data.length; i++) {
    const raw = data[i]!;
    if (raw !== last) {
      found = known.get(raw) ?? classByRule(raw, rule);
      if (found === NO_CLASS) return i;
      known.set(raw, found);
      last = raw;
    }
    out[i] = found;
  }
  return -1;
}

const tables = new WeakMap<LabelRule, Map<number, Uint16Array>>();

/** What each of the first values becomes, made once a rule. */
function tableOf(rule: LabelRule, length: number): Uint16Array {
  const made = tables.get(rule) ?? new Map<number, Uint16Array>();
  tables.set(rule, made);
  const table =
    made.get(length) ?? Uint16Array.from({ length }, (_, raw) => classByRule(raw, rule));
  made.set(length, table);
  return table;
}

function outOfRange(raw: RawLabels, rule: LabelRule, pixel: number): DataError {
  const { file, width, colours } = raw;
  const value = raw.data[pixel]!;
  const text = rawText(value, colours);
  const place = `row ${Math.floor(pixel / width)}, column ${pixel % width}`;
  const numbers = `${rule.offset} to ${rule.numClasses + rule.offset - 1}, or ${IGNORE_LABEL} for void`;
  const expected =
    rule.listed.size === 0 ? numbers : `${colours ? 'a colour' : 'a value'} of the map`;
  return new DataError(
    'M3L_LABEL_RANGE',
    `${file}: found label ${text} (${place}), expected ${expected}. ${mendOf(value, raw, rule)}`,
  );
}

function mendOf(value: number, raw: RawLabels, rule: LabelRule): string {
  const { numClasses, offset, listed, colours } = rule;
  if (listed.size > 0) {
    const other = colours ? null : listedFor(value - offset, rule);
    const taken = other === null ? '' : ` (class ${value - offset} is what ${other} becomes)`;
    return `List it in data.labels.map${taken}, or in data.labels.void.`;
  }
  if (offset === 0 && value === numClasses) {
    return (
      'These labels look as if they started at 1 with 0 for void (as those of SUN RGB-D do): ' +
      'set labelOffset to 1 to shift them.'
    );
  }
  const values = describeLabels(raw);
  const map = suggestLabelMap(
    values.map((one) => one.raw),
    numClasses,
  );
  const found = values.map((one) => one.text).join(', ');
  if (map !== null) return `The file holds ${found}: if these are its classes, set ${map}.`;
  return 'Check data.classes, and that the file holds class numbers, not colours.';
}

function unmappedColours(raw: RawLabels, { numClasses }: LabelRule): DataError {
  const values = describeLabels(raw);
  const map = suggestLabelMap(
    values.map((one) => one.raw),
    numClasses,
    true,
  );
  const shown = values.slice(0, 6).map((one) => one.text);
  const more = values.length > shown.length ? ', …' : '';
  return new DataError(
    'M3L_LABEL_FORMAT',
    `${raw.file}: found a colour image (${shown.join(', ')}${more}), expected class numbers. ` +
      `Say which class each colour is, e.g. ${map ?? "data.labels.map: { '#ff0000': 1 }"}, ` +
      'or store class numbers in one channel.',
  );
}
