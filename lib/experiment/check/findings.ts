import {
  classOf,
  KINDS,
  type LabelFacts,
  type LabelRule,
  NO_CLASS,
  suggestLabelMap,
} from '../../data/index.js';
import type { Config, SettledConfig } from '../config/config.js';
import type { ScannedSplit } from './check.js';
import { isConstant } from './little.js';
import type { Finding } from './report.js';
import { rounded } from './shared.js';
import { labelsOf } from './summarise.js';

/** Files that are missing, cannot be read, or do not fit together: one finding a kind and split. */
export function fileFindings({ name, scenes }: ScannedSplit): Finding[] {
  const kinds = new Kinds();
  for (const { problems } of scenes) {
    for (const { code, message } of problems) {
      kinds.add({ level: 'error', code: code ?? 'M3L_IMAGE_CORRUPT', split: name, message });
    }
  }
  return kinds.findings('files');
}

/** Crops that are larger than any training picture can be. */
export function sizeFindings({ name, scenes }: ScannedSplit, { data }: SettledConfig): Finding[] {
  if (name === 'val' || name === 'test') return [];
  const [height, width] = data.crop;
  const largest = Math.max(...data.scales);
  const small = scenes.flatMap(({ files: [first] }) => {
    if (!first) return [];
    const [h, w] = data.resize ?? [first.height, first.width];
    return h * largest < height && w * largest < width ? [`${w} × ${h}`] : [];
  });
  if (small.length === 0) return [];
  return [
    {
      level: 'warning',
      code: 'M3L_CHECK_CROP',
      split: name,
      message:
        `data.crop is ${width} × ${height}, and ${small.length} of ${scenes.length} pictures ` +
        `(the first ${small[0]}) are smaller even at the largest scale, ${largest}: much of what is ` +
        'trained on is padding. Choose a smaller crop.',
      count: small.length,
    },
  ];
}

/** A picture that a model sees less of [0, 1] of is as good as constant. */
const FLAT = 0.05;

/** Modalities of which a model sees next to nothing: outliers rule the range, or it is another unit's. */
export function levelFindings({ name, scenes }: ScannedSplit, { data }: Config): Finding[] {
  return Object.entries(data.modalities).flatMap(([modality, { kind, range }], m): Finding[] => {
    const decoded = scenes.filter(({ spreads }) => typeof spreads[m] === 'number');
    const flat = decoded.filter(({ spreads }) => spreads[m]! < FLAT);
    const [first] = flat;
    if (first === undefined || 2 * flat.length <= decoded.length) return [];
    // Constant: told by itself.
    if (decoded.every(isConstant(m))) return [];
    const key = `data.modalities.${modality}`;
    const [least, greatest] = first.ranges[m]!.map(rounded);
    const holes = KINDS[kind].keys.includes('invalid')
      ? `Name values that were not measured in ${key}.invalid, or set`
      : 'Set';
    const mend =
      range === undefined
        ? `${holes} ${key}.range to [least, greatest] of what matters.`
        : `Its ${key}.range is [${range.join(', ')}], in units of raw · ${key}.scale: give those of the values.`;
    return [
      {
        level: 'warning',
        code: 'M3L_CHECK_LEVELS',
        split: name,
        message:
          `${flat.length} of ${decoded.length} images of '${modality}' that were decoded are nearly one level for a ` +
          `model (the first ${first.files[m]!.file}, raw values ${least} to ${greatest}): all but a few values ` +
          `lie within ${100 * FLAT} % of the range. ${mend}`,
        count: flat.length,
      },
    ];
  });
}

/** Label values that are no class; one finding a split, with the values of all its labels. */
export function valueFindings({ name, scenes }: ScannedSplit, rule: LabelRule): Finding[] {
  const isForeign = foreignTo(rule);
  const bad = scenes.flatMap(({ label }) => (label?.values.some(isForeign) ? [label] : []));
  const [first] = bad;
  if (first === undefined) return [];
  const foreign = new Map(
    bad.flatMap(({ values }) => values.filter(isForeign).map(({ raw, text }) => [raw, text])),
  );
  const expected =
    rule.listed.size > 0
      ? 'values of data.labels.map, or void'
      : `${rule.offset} to ${rule.numClasses + rule.offset - 1}, or 255 for void`;
  return [
    {
      level: 'error',
      code: first.colours && !rule.colours ? 'M3L_LABEL_FORMAT' : 'M3L_LABEL_RANGE',
      split: name,
      message:
        `${first.file}${bad.length > 1 ? ` and ${bad.length - 1} more` : ''}: found label ` +
        `${listed([...foreign.values()])}, expected ${expected}. ${mendOf(scenes, rule)}`,
      count: bad.length,
    },
  ];
}

function foreignTo(rule: LabelRule) {
  return ({ raw }: LabelFacts['values'][number]) => classOf(raw, rule) === NO_CLASS;
}

function hasForeign({ scenes }: ScannedSplit, rule: LabelRule): boolean {
  return scenes.some(({ label }) => label?.values.some(foreignTo(rule)));
}

/** Classes that no label holds, and labels that say the same everywhere. */
export function classFindings(
  split: ScannedSplit,
  classes: readonly string[],
  rule: LabelRule,
): Finding[] {
  const { name, samples, scenes } = split;
  if (samples.every(({ label }) => label === null)) return [];
  const labels = labelsOf(split, classes, rule);
  if (labels.pixels === 0) return [];
  // Values that are no class are told by themselves: the classes that they stand for are missing too.
  if (hasForeign(split, rule)) return [];
  const there = labels.classes.filter(({ pixels }) => pixels > 0);
  const absent = labels.classes.filter(({ pixels }) => pixels === 0);
  const stored = `the files hold ${listed(labels.stored.map(({ value }) => `${value}`))}`;
  if (there.length < 2) {
    const only = there.length === 0 ? 'nothing but void' : `'${there[0]!.name}' alone`;
    return [
      {
        level: name === 'labelled' ? 'error' : 'warning',
        code: 'M3L_CHECK_ONE_CLASS',
        split: name,
        message: `all labels say ${only} (${stored}): there is nothing to tell apart. ${mendOf(scenes, rule)}`,
        count: samples.length,
      },
    ];
  }
  if (absent.length === 0) return [];
  const names = absent.map((each) => `${each.index} '${each.name}'`);
  return [
    {
      level: 'warning',
      code: 'M3L_CHECK_ABSENT_CLASS',
      split: name,
      message: `no label says ${listed(names)} (${stored}).`,
      count: absent.length,
    },
  ];
}

/** What to write where the values that labels hold are not the classes. */
function mendOf(scenes: ScannedSplit['scenes'], rule: LabelRule): string {
  const values = new Set(scenes.flatMap(({ label }) => label?.values.map(({ raw }) => raw) ?? []));
  const colours = scenes.some(({ label }) => label?.colours);
  const map = suggestLabelMap([...values], rule.numClasses, colours);
  if (map !== null) return `If these are the classes, in this order, set ${map}.`;
  if (!colours && rule.offset === 0 && Math.max(...values) === rule.numClasses) {
    return 'If the classes are counted from 1 and 0 is void, set data.labelOffset: 1.';
  }
  return 'Check data.classes, data.labels and that the label column names the right files.';
}

function listed(texts: readonly string[]): string {
  return `${texts.slice(0, 8).join(', ')}${texts.length > 8 ? `, … (${texts.length})` : ''}`;
}

/** Findings of one kind become one, which tells the first and how many there are. */
class Kinds {
  readonly #kinds = new Map<string, Finding>();

  add(finding: Omit<Finding, 'count'>): void {
    const known = this.#kinds.get(finding.code);
    if (known) known.count += 1;
    else this.#kinds.set(finding.code, { ...finding, count: 1 });
  }

  findings(what: string): Finding[] {
    return [...this.#kinds.values()].map((finding) =>
      finding.count === 1
        ? finding
        : { ...finding, message: `${finding.message} (${finding.count} ${what} in all.)` },
    );
  }
}
