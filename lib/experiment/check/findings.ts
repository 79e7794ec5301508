import {
  classOf,
  type LabelFacts,
  type LabelRule,
  NO_CLASS,
  suggestLabelMap,
} from '../../data/index.js';
import type { Config } from '../config/config.js';
import type { ScannedSplit } from './check.js';
import type { Finding } from './report.js';
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
export function sizeFindings({ name, scenes }: ScannedSplit, { data }: Config): Finding[] {
  if (name === 'val') return [];
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
