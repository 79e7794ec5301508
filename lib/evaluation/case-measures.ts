import type { Collectives } from '../learning/peers.js';
import type { Predictor } from '../models/index.js';
import type { Tensor } from '../torch/index.js';
import { BoundaryIoU, type BoundaryResult } from './boundary.js';
import { Calibration, type CalibrationResult } from './calibration.js';
import { ConfusionMatrix, type Metrics } from './confusion-matrix.js';
import { type PredictClassesOptions, predictClasses, predictConfidence } from './predict.js';

/** What to measure of an ensemble beside its confusion matrix; both cost time. */
export interface FurtherMeasures {
  /** How far it is as often right as it is sure (false). */
  calibration?: boolean | undefined;
  /** The IoU of the classes' boundaries (false). */
  boundary?: boolean | undefined;
}

/** The figures of a head; of an ensemble with those that were asked for besides. */
export type Measured = Metrics & Partial<CalibrationResult> & Partial<BoundaryResult>;

/** All that is measured of a network's heads, the ensemble's last, with the same modalities missing. */
export class CaseMeasures {
  readonly #matrices: ConfusionMatrix[];
  readonly #calibration: Calibration | null;
  readonly #boundary: BoundaryIoU | null;

  constructor(
    private readonly model: Predictor,
    heads: number,
    { device, calibration = false, boundary = false }: FurtherMeasures & { device: string },
  ) {
    const { numClasses } = model;
    const matrix = () => new ConfusionMatrix(numClasses, { device });
    this.#matrices = Array.from({ length: heads }, matrix);
    this.#calibration = calibration ? new Calibration({ device }) : null;
    this.#boundary = boundary ? new BoundaryIoU(numClasses, { device }) : null;
  }

  /** @param labels [B, H, W] int64 of the size that is asked for */
  add(inputs: readonly Tensor[], labels: Tensor, asked: PredictClassesOptions): void {
    const { maps, confidence } =
      this.#calibration === null
        ? { maps: predictClasses(this.model, inputs, asked), confidence: null }
        : predictConfidence(this.model, inputs, asked);
    for (const [h, classes] of maps.entries()) this.#matrices[h]!.add(classes, labels);
    const classes = maps.at(-1)!;
    if (confidence !== null) this.#calibration?.add(classes, confidence, labels);
    this.#boundary?.add(classes, labels);
  }

  /** @throws EvaluationError M3L_LABEL_RANGE */
  of(head: number): Measured {
    const metrics = this.#matrices[head]!.metrics();
    if (head < this.#matrices.length - 1) return metrics;
    return { ...metrics, ...this.#calibration?.result(), ...this.#boundary?.result() };
  }

  /** @throws EvaluationError M3L_LABEL_RANGE */
  check(): void {
    for (const matrix of this.#matrices) matrix.checkRange();
  }

  /** Adds up what the processes that share a set have measured, each at the same time, once it is checked. */
  share(group: Collectives): void {
    for (const matrix of this.#matrices) matrix.share(group);
    this.#calibration?.share(group);
    this.#boundary?.share(group);
  }

  dispose(): void {
    for (const matrix of this.#matrices) matrix.dispose();
    this.#calibration?.dispose();
    this.#boundary?.dispose();
  }
}
