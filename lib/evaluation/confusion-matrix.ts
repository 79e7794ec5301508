import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
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

const IGNORE = 255;

/** Counts of [label, prediction] over a whole set, kept on the device until they are asked for. */
export class ConfusionMatrix {
  readonly #counts: Tensor;

  constructor(
    readonly numClasses: number,
    { device = 'cpu' }: { device?: string } = {},
  ) {
    this.#counts = torch.detached(() =>
      torch.zeros([numClasses * numClasses], { dtype: 'int64', device }),
    );
  }

  /**
   * @param predictions integers in 0…K−1
   * @param labels integers of the same shape, in 0…K−1 or 255 (not counted)
   * @throws EvaluationError M3L_LABEL_RANGE, M3L_EVALUATION_SHAPE
   */
  add(predictions: Tensor, labels: Tensor): void {
    if (predictions.shape.join() !== labels.shape.join()) {
      throw new EvaluationError(
        'M3L_EVALUATION_SHAPE',
        `predictions are [${predictions.shape}] and labels [${labels.shape}]: expected the same ` +
          'shape. Resize the predictions to the labels.',
      );
    }
    const cells = this.numClasses * this.numClasses;
    torch.scope(() => {
      const truth = labels.to({ dtype: 'int64' });
      // Cell 0 takes what is ignored: counting all pixels spares a selection and its sync.
      const cell = truth
        .mul(this.numClasses)
        .add_(predictions.to({ dtype: 'int64' }))
        .add_(1)
        .maskedFill_(truth.eq(IGNORE), 0);
      const counted = torch.bincount(cell.flatten(), null, cells + 1);
      if (counted.shape[0]! > cells + 1) throw this.#outOfRange(truth);
      this.#counts.add_(counted.narrow(0, 1, cells));
    });
  }

  /** [label][prediction] */
  counts(): number[][] {
    const flat = Array.from(this.#counts.toTypedArray() as BigInt64Array, Number);
    const k = this.numClasses;
    return Array.from({ length: k }, (_, row) => flat.slice(row * k, (row + 1) * k));
  }

  metrics(): Metrics {
    return metricsOf(this.counts());
  }

  dispose(): void {
    this.#counts.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #outOfRange(labels: Tensor): EvaluationError {
    const found = labels.maskedFill(labels.eq(IGNORE), 0).max().item();
    return new EvaluationError(
      'M3L_LABEL_RANGE',
      `the labels hold ${found}: expected 0 to ${this.numClasses - 1}, or 255 for void. ` +
        'Set the number of classes, or the label offset, to what the files hold.',
    );
  }
}

/** The figures of a matrix of [label][prediction] counts. */
export function metricsOf(counts: readonly (readonly number[])[]): Metrics {
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
