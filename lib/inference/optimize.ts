import {
  LinearFusion,
  ModelError,
  type Predictor,
  Segformer,
  type SegmentationModel,
} from '../models/index.js';
import { InferenceModel } from './model.js';

export interface InferenceOptions {
  /**
   * Whether the first calls of each shape time two ways of each product, so that later ones take the
   * faster (default). Otherwise all calls take the one on packed weights: what is computed is then
   * the same to the last bit in every process, and the first call already fast.
   */
  measure?: boolean;
}

/** A model prepared for inference; see {@link optimizeForInference}. */
export interface InferenceView extends Predictor {
  /** Releases what was made for the view; the model stays. */
  dispose(): void;
  [Symbol.dispose](): void;
}

/**
 * The model as it is now, for inference only: BatchNorm folded, the head's 1×1 products composed,
 * weights packed for the processor, constants computed once. Predictions are those of the model in
 * evaluation mode up to rounding, as tensors of inference mode: no gradient passes through them.
 *
 * Products are computed in the weights' dtype, whatever `precision` is.
 *
 * The model stays as it is, and its state dict. Its view shares weights with it: change, move or
 * train the model and the view is out of date (make a new one), dispose of the model after it.
 *
 * @throws {ModelError} `M3L_MODEL_INFERENCE` for a model that is not made of the Mix Transformer and
 *   SegFormer's head
 */
export function optimizeForInference(
  model: SegmentationModel,
  options: InferenceOptions = {},
): InferenceView {
  if (model instanceof LinearFusion || model instanceof Segformer) {
    return new InferenceModel(model, options);
  }
  throw new ModelError(
    'M3L_MODEL_INFERENCE',
    `${model.constructor.name} has no view for inference, expected LinearFusion or Segformer. ` +
      'Predict with the model itself, in evaluation mode.',
  );
}
