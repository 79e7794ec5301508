import { IGNORE_LABEL } from '../data/index.js';
import type { Masks, Prediction } from '../models/index.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import type { EmaTeacher } from './ema.js';
import { type FrameworkContext, forward, type Joined } from './framework.js';
import { allHeads } from './losses.js';

export interface Taught extends Pick<Prediction, 'penalty'> {
  /** [B, H, W] int64: the teacher's class, or 255 where the pseudo loss must not look. */
  labels: Tensor;
  /** The teacher's logits [B, K, h, w], where its own loss is to be reported; else none. */
  heads: Tensor[];
}

/**
 * The argmax of the teacher's ensemble on `images`, without gradients.
 * @param masked per sample the modality the teacher does not see either, −1 for none
 */
export function teach(
  context: FrameworkContext,
  teacher: EmaTeacher,
  images: Joined,
  masked: Masks,
  tokenSeed: number | null,
): Taught {
  const { options } = context;
  const label = (): Taught => {
    const prediction = forward(context, teacher.model, images.modalities, masked, tokenSeed);
    const size = images.modalities[0]!.shape.slice(2);
    return {
      labels: pseudoLabels(prediction.ensemble, images.valid, options, size),
      heads: options.reportTeacherLoss ? allHeads(prediction) : [],
      penalty: prediction.penalty,
    };
  };
  // In a scope of its own: all of the teacher's activations go before the student makes its own.
  return torch.scope(() => torch.noGrad(label));
}

/**
 * Labels from the logits of an ensemble, [B, K, h, w] → [B, H, W] int64: the argmax at `size`
 * (that of the logits; upsampling is bilinear, align_corners true).
 * 255 where padded (unless `pseudoOnPadding`) and below the confidence threshold.
 */
export function pseudoLabels(
  ensemble: Tensor,
  valid: Tensor | null,
  options: { pseudoOnPadding: boolean; confidenceThreshold: number | null },
  size: readonly number[] = ensemble.shape.slice(2),
): Tensor {
  return torch.ops.m3l!.upsample_argmax!(
    ensemble,
    size,
    options.confidenceThreshold,
    options.pseudoOnPadding ? null : valid,
    IGNORE_LABEL,
  ) as Tensor;
}
