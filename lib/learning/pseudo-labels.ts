import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import type { EmaTeacher } from './ema.js';
import { type FrameworkContext, forward, type Joined } from './framework.js';
import { headLogProbabilities, IGNORE } from './losses.js';

export interface Taught {
  /** [B, H, W] int64: the teacher's class, or 255 where the pseudo loss must not look. */
  labels: Tensor;
  /** The teacher's log probabilities, where its own loss is to be reported; else none. */
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
  masked: readonly number[],
  iteration: number,
): Taught {
  const { options } = context;
  const label = (): Taught => {
    // Only the ensemble labels, so the heads are spared the upsampling unless they are reported.
    const upsample = options.reportTeacherLoss;
    const prediction = forward(context, teacher.model, images.modalities, masked, iteration, {
      upsample,
    });
    const size = images.modalities[0]!.shape.slice(2);
    const ensemble = upsample
      ? prediction.ensemble
      : torch.upsampleBilinear2d(prediction.ensemble, size, true);
    return {
      labels: pseudoLabels(ensemble, images.valid, options),
      heads: upsample ? headLogProbabilities(prediction) : [],
    };
  };
  // In a scope of its own: all of the teacher's activations go before the student makes its own.
  return torch.scope(() => torch.noGrad(label));
}

/**
 * Labels from the logits of an ensemble, [B, K, H, W] → [B, H, W] int64.
 * 255 where padded (unless `pseudoOnPadding`) and below the confidence threshold.
 */
export function pseudoLabels(
  ensemble: Tensor,
  valid: Tensor | null,
  options: { pseudoOnPadding: boolean; confidenceThreshold: number | null },
): Tensor {
  const labels = ensemble.argmax(1);
  if (valid !== null && !options.pseudoOnPadding) labels.maskedFill_(valid.logicalNot(), IGNORE);
  if (options.confidenceThreshold !== null) {
    const confidence = ensemble.softmax(1).amax([1]);
    labels.maskedFill_(confidence.lt(options.confidenceThreshold), IGNORE);
  }
  return labels;
}
