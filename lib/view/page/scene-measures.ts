import type { ClassMap } from './ask.js';

const VOID = 255;

/** How a prediction does on one scene. */
export interface SceneMeasures {
  meanIoU: number | null;
  /** Of each class; null where neither has it. */
  classIoU: (number | null)[];
  /** Share of the counted pixels. */
  right: number | null;
}

export function measure(label: ClassMap, prediction: ClassMap, classes: number): SceneMeasures {
  const hits = new Float64Array(classes);
  const labelled = new Float64Array(classes);
  const predicted = new Float64Array(classes);
  let counted = 0;
  for (let pixel = 0; pixel < label.classes.length; pixel++) {
    const [truth, said] = [label.classes[pixel]!, prediction.classes[pixel]!];
    if (truth === VOID || truth >= classes || said >= classes) continue;
    counted += 1;
    labelled[truth]! += 1;
    predicted[said]! += 1;
    if (truth === said) hits[truth]! += 1;
  }
  const classIoU = Array.from(hits, (hit, k) => {
    const union = labelled[k]! + predicted[k]! - hit;
    return union === 0 ? null : hit / union;
  });
  const there = classIoU.filter((iou) => iou !== null);
  const right = hits.reduce((sum, hit) => sum + hit, 0);
  return {
    classIoU,
    meanIoU: there.length === 0 ? null : there.reduce((sum, iou) => sum + iou, 0) / there.length,
    right: counted === 0 ? null : right / counted,
  };
}

/** Share of pixels of each class. */
export function shares({ classes }: ClassMap, count: number): number[] {
  const found = new Float64Array(count);
  for (const each of classes) if (each < count) found[each]! += 1;
  return Array.from(found, (pixels) => pixels / classes.length);
}

/** Share of pixels that two predictions say different classes of. */
export function changed(one: ClassMap, other: ClassMap): number {
  let count = 0;
  for (let pixel = 0; pixel < one.classes.length; pixel++) {
    if (one.classes[pixel] !== other.classes[pixel]) count += 1;
  }
  return count / one.classes.length;
}
