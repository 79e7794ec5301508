import { MixTransformer } from '../models/mit.js';
import { segmentationModelShape } from '../models/rules.js';
import { SegformerHead } from '../models/segformer-head.js';
import type { Predictor, SegmentationModel, StreamedModel } from '../models/segmentation-model.js';
import { checkArguments } from '../torch/check-arguments.js';
import * as is from '../torch/rules.js';
import { PackedView } from './packed-view.js';
import { PlainView } from './plain-view.js';

/** What `optimizeForInference` takes by name. */
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
 * The model as it is now, for inference only. Predictions are those of the model in evaluation mode
 * up to rounding, as tensors of inference mode: no gradient passes through them.
 *
 * Of a model that is a Mix Transformer, SegFormer's head on each modality's features and their
 * ensemble (`StreamedModel`: linear fusion, segformer), with whatever fusion: BatchNorm folded, the
 * head's 1×1 products composed, weights packed for the processor, constants computed once. Products
 * are computed in the weights' dtype, whatever `precision` is. Any other model is called as it is, in
 * evaluation mode for the time of the call.
 *
 * The model stays as it is, and its state dict. Its view shares weights with it: change, move or
 * train the model and the view is out of date (make a new one), dispose of the model after it.
 */
export function optimizeForInference(
  model: SegmentationModel,
  options: InferenceOptions = {},
): InferenceView {
  checkArguments(
    'optimizeForInference',
    { model, options },
    { model: segmentationModelShape, options: is.record },
  );

  return isStreamed(model) ? new PackedView(model, options) : new PlainView(model);
}

function isStreamed(model: SegmentationModel | StreamedModel): model is StreamedModel {
  return (
    'streamed' in model &&
    model.streamed === true &&
    model.encoder instanceof MixTransformer &&
    model.decoder instanceof SegformerHead
  );
}
