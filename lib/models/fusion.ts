import * as nn from '../nn/index.js';
import type { Tensor } from '../torch/index.js';
import { addAndNormalise, type NormWeights } from './modality-norm.js';

/** Where in the encoder a fusion stands. */
export interface FusionSite {
  /** 0 to 3. */
  stage: number;
  /** Among the stage's blocks, from 0. */
  block: number;
  /** C of the stage. */
  channels: number;
  /** M */
  modalities: number;
}

/**
 * x1 = x0 + factors · fuse(branch), and norm(x1): what a fusion computes. Rows are the samples of the
 * modalities, R = M·B, modality by modality.
 */
export interface ResidualSum {
  /** The tokens as they entered the block, before its first norm, [R, N, C]. */
  x0: Tensor;
  /** What the attention gives after its projection, [R, N, C]. */
  branch: Tensor;
  /** Stochastic depth of the branch: the factor of each row, [R]; null: 1. */
  factors: Tensor | null;
  /** What follows the sum: the block's second norm, of all modalities. */
  norm: NormWeights;
}

/** A residual sum that was fused. */
export interface Fused {
  /** x1, [R, N, C]. */
  tokens: Tensor;
  /** norm(x1), [R, N, C]. */
  normal: Tensor;
  /**
   * A scalar, float32 and weighted already, that this block adds to the training loss; all blocks'
   * together are the prediction's `penalty`.
   */
  penalty?: Tensor;
}

/**
 * What couples the modalities in a block: a module that the block calls after its attention's
 * projection. It gives the residual sum and its norm together, so that a kernel may compute both in
 * one pass; one that has no such kernel ends with `addAndNormalise`. Parameters and norms of its own
 * are in the state dict under `encoder.block{i}.{j}.fusion`; what several blocks share belongs to one
 * owner, and here to a private (`#`) property.
 *
 * It also runs in the view for inference, which gives it other weights of the same norm: it must
 * compute from its arguments and its own state alone.
 */
export abstract class Fusion extends nn.Module {
  abstract override forward(sum: ResidualSum): Fused;
}

/** The fusion of a block; undefined where nothing couples the modalities. */
export type CreateFusion = (site: FusionSite) => Fusion | undefined;

/** Nothing couples the modalities: x1 = x0 + factors · branch. */
export class NoFusion extends Fusion {
  override forward(sum: ResidualSum): Fused {
    return addAndNormalise(sum);
  }
}
