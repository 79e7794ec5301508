import { IGNORE_LABEL } from '../data/index.js';
import type { Collectives } from '../learning/peers.js';
import { checkArguments } from '../torch/check-arguments.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import * as is from '../torch/rules.js';

const BINS = 15;

/** Pixels of which a model is about as sure. */
export interface ReliabilityBin {
  pixels: number;
  /** The mean probability that it gives the class it says, and how often that is right; null of none. */
  confidence: number | null;
  accuracy: number | null;
}

/** How far predictions are as often right as they are sure. */
export interface CalibrationResult {
  /** Expected calibration error (Guo et al. 2017), 0 to 1: Σ share · |accuracy − confidence| of 15 even bins. */
  calibrationError: number;
  /** By confidence, from 0 to 1. */
  reliability: ReliabilityBin[];
}

/** How far a model is as often right as it is sure, over a whole set. */
export class Calibration {
  /** float64 [3, BINS]: pixels, their confidence, those that are right. */
  readonly #sums: Tensor;

  constructor(options: { device?: string } = {}) {
    checkArguments('Calibration', { options }, { options: is.record });
    const { device = 'cpu' } = options;
    this.#sums = torch.detached(() => torch.zeros([3, BINS], { dtype: 'float64', device }));
  }

  /**
   * @param classes [B, H, W] int64
   * @param confidence [B, H, W], what the model gives these, 0 to 1
   * @param labels [B, H, W] int64; 255: not counted
   */
  add(classes: Tensor, confidence: Tensor, labels: Tensor): void {
    torch.scope(() => {
      const flat = confidence.flatten().to('float64');
      const bin = flat
        .mul(BINS)
        .floor()
        .clamp(0, BINS - 1)
        .to('int64');
      const counted = labels.ne(IGNORE_LABEL).flatten();
      const right = classes.eq(labels).flatten().logicalAnd(counted).to('float64');
      const pixels = counted.to('float64');
      this.#sums.indexAdd_(1, bin, torch.stack([pixels, flat.mul(pixels), right]));
    });
  }

  result(): CalibrationResult {
    const values = [...(this.#sums.toTypedArray() as Float64Array)];
    const [pixels, sure, right] = [0, 1, 2].map((row) =>
      values.slice(row * BINS, (row + 1) * BINS),
    );
    const total = pixels!.reduce((sum, count) => sum + count, 0);
    const gaps = pixels!.map((_, bin) => Math.abs(right![bin]! - sure![bin]!));
    return {
      calibrationError: gaps.reduce((sum, gap) => sum + gap, 0) / total,
      reliability: pixels!.map((count, bin) => ({
        pixels: count,
        confidence: count === 0 ? null : sure![bin]! / count,
        accuracy: count === 0 ? null : right![bin]! / count,
      })),
    };
  }

  /** Adds up what the processes that share a set have counted, each at the same time. */
  share(group: Collectives): void {
    group.allReduce(this.#sums, 'sum');
  }

  dispose(): void {
    this.#sums.dispose();
  }
}
