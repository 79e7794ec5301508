import { IGNORE_LABEL } from '../data/index.js';
import type { Collectives } from '../learning/peers.js';
import { checkArguments } from '../torch/check-arguments.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import * as is from '../torch/rules.js';
import { EvaluationError } from './errors.js';

/** Figures of a confusion matrix, 0 to 1 (m3l.md section 8). NaN where there was nothing to count. */
export interface Metrics {
  /** Mean over the classes that occur in labels or predictions. */
  meanIoU: number;
  pixelAccuracy: number;
  /** Mean recall over the classes that occur in the labels. */
  meanClassAccuracy: number;
  /** diag / (row + column − diag); null where a class occurs in neither labels nor predictions. */
  classIoU: (number | null)[];
}

/** Counts of [label, prediction] over a whole set, kept on the device until they are asked for. */
export class ConfusionMatrix {
  readonly #counts: Tensor;
  /** How many labels and predictions were no class, and one of each: [labels, one, predictions, one]. */
  readonly #outOfRange: Tensor;

  constructor(
    readonly numClasses: number,
    given: { device?: string } = {},
  ) {
    checkArguments(
      'ConfusionMatrix',
      { numClasses, given },
      { numClasses: is.finite, given: is.record },
    );
    const { device = 'cpu' } = given;

    const options = { dtype: 'int64', device } as const;
    [this.#counts, this.#outOfRange] = torch.detached(() => [
      torch.zeros([numClasses, numClasses], options),
      torch.zeros([4], options),
    ]);
  }

  /**
   * @param predictions integers in 0…K−1
   * @param labels integers of the same shape, in 0…K−1 or 255 (not counted)
   * @throws EvaluationError M3L_LABEL_RANGE (on a GPU only once the counts are asked for, so that
   *   nothing waits here), M3L_EVALUATION_SHAPE
   */
  add(predictions: Tensor, labels: Tensor): void {
    if (predictions.shape.join() !== labels.shape.join()) {
      throw new EvaluationError(
        'M3L_EVALUATION_SHAPE',
        `predictions are [${predictions.shape}] and labels [${labels.shape}]: expected the same ` +
          'shape. Resize the predictions to the labels.',
      );
    }
    torch.ops.m3l!.confusion_matrix_add_!(
      this.#counts,
      this.#outOfRange,
      labels,
      predictions,
      IGNORE_LABEL,
    );
    if (this.#counts.device === 'cpu') this.checkRange();
  }

  /**
   * [label][prediction]
   * @throws EvaluationError M3L_LABEL_RANGE
   */
  counts(): number[][] {
    this.checkRange();
    const flat = Array.from(this.#counts.toTypedArray() as BigInt64Array, Number);
    const k = this.numClasses;
    return Array.from({ length: k }, (_, row) => flat.slice(row * k, (row + 1) * k));
  }

  metrics(): Metrics {
    return metricsOf(this.counts());
  }

  /** @throws EvaluationError M3L_LABEL_RANGE where labels or predictions that were added are no classes */
  checkRange(): void {
    const found = Array.from(this.#outOfRange.toTypedArray() as BigInt64Array, Number);
    const [labels, label, predictions, prediction] = found as [number, number, number, number];
    if (labels + predictions === 0) return;
    const classes = `expected 0 to ${this.numClasses - 1}`;
    throw new EvaluationError(
      'M3L_LABEL_RANGE',
      labels > 0
        ? `the labels hold ${label}: ${classes}, or 255 for void. ` +
            'Set the number of classes, or the label offset, to what the files hold.'
        : `the predictions hold ${prediction}: ${classes}. ` +
            'Give the matrix as many classes as the model has.',
    );
  }

  /** Adds up what the processes that share a set have counted, each at the same time, once it is checked. */
  share(group: Collectives): void {
    group.allReduce(this.#counts, 'sum');
  }

  dispose(): void {
    this.#counts.dispose();
    this.#outOfRange.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** The figures of a matrix of [label][prediction] counts. */
export function metricsOf(counts: readonly (readonly number[])[]): Metrics {
  checkArguments('metricsOf', { counts }, { counts: is.listOf(is.listOf(is.finite)) });

  const rows = counts.map(sum);
  const columns = counts.map((_, column) => sum(counts.map((row) => row[column]!)));
  const hits = counts.map((row, index) => row[index]!);
  const classIoU = hits.map((hit, index) => {
    const union = rows[index]! + columns[index]! - hit;
    return union === 0 ? null : hit / union;
  });
  const recalls = hits.flatMap((hit, index) => (rows[index] === 0 ? [] : [hit / rows[index]!]));
  return {
    meanIoU: mean(classIoU.filter((iou) => iou !== null)),
    pixelAccuracy: sum(hits) / sum(rows),
    meanClassAccuracy: mean(recalls),
    classIoU,
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function mean(values: readonly number[]): number {
  return sum(values) / values.length;
}
