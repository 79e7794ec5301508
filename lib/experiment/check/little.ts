import type { Config } from '../config/config.js';
import type { ScannedSplit } from './check.js';
import { areAllTheSame } from './duplicates.js';
import type { Finding } from './report.js';
import { rounded, splitNamed } from './shared.js';

/** Data of which next to nothing can be learned, though training on them works. */

/** A modality that holds one value alone in every image that was decoded. */
export function constantFindings({ name, scenes }: ScannedSplit, { data }: Config): Finding[] {
  return Object.keys(data.modalities).flatMap((modality, m): Finding[] => {
    const decoded = scenes.filter(({ ranges }) => ranges[m]);
    if (decoded.length === 0 || !decoded.every(isConstant(m))) return [];
    const values = [...new Set(decoded.map(({ ranges }) => ranges[m]![0]))];
    const seen = values.every(Number.isFinite)
      ? `one value each (${values.slice(0, 4).map(rounded).join(', ')}${values.length > 4 ? ', …' : ''})`
      : 'nothing that was measured';
    return [
      {
        level: 'warning',
        code: 'M3L_CHECK_CONSTANT',
        split: name,
        message:
          `all ${decoded.length} images of '${modality}' that were decoded hold ${seen}: it says ` +
          `nothing. Does the column name the right files? Leave '${modality}' out if they are right.`,
        count: decoded.length,
      },
    ];
  });
}

/** Whether a scene's modality holds one value at most. */
export function isConstant(m: number) {
  return ({ ranges }: ScannedSplit['scenes'][number]) => {
    const range = ranges[m];
    return range !== null && range !== undefined && !(range[1] > range[0]);
  };
}

/** Lists of which too little can be learned, though training on them works. */
export function fewFindings(splits: readonly ScannedSplit[]): Finding[] {
  const found: Finding[] = [];
  const labelled = splitNamed(splits, 'labelled');
  const unlabelled = splitNamed(splits, 'unlabelled');
  if (labelled?.samples.length === 1) {
    found.push({
      level: 'warning',
      code: 'M3L_CHECK_ONE_LABEL',
      split: 'labelled',
      message:
        'a single image has a label: it will be known by heart. Label a few more, spread over what there is.',
      count: 1,
    });
  }
  const count = unlabelled?.samples.length ?? 0;
  if (unlabelled && count > 1 && areAllTheSame(unlabelled)) {
    found.push({
      level: 'warning',
      code: 'M3L_CHECK_SAME_IMAGES',
      split: 'unlabelled',
      message: `all ${count} unlabelled images are the same one: they add next to nothing. Does the list name the right files?`,
      count,
    });
  }
  return found;
}
