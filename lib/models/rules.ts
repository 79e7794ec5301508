/** What arguments of this layer's functions must be; see torch/rules.ts. */
import * as is from '../torch/rules.js';

export const modelDescriptorShape = is.shape('ModelDescriptor', { create: is.callback });
export const linearFusionOptionsShape = is.shape('LinearFusionOptions', { numClasses: is.finite });
export const streamedModelShape = is.shape('StreamedModel', {
  forward: is.callback,
  namedChildren: is.callback,
});
export const mixTransformerOptionsShape = is.shape('MixTransformerOptions', { backbone: is.text });
export const normWeightsShape = is.shape('NormWeights', {
  weight: is.tensor,
  bias: is.tensor,
  eps: is.finite,
});
export const segformerOptionsShape = is.shape('SegformerOptions', { numClasses: is.finite });
export const segformerHeadOptionsShape = is.shape('SegformerHeadOptions', {
  channels: is.listOf(is.finite),
  numClasses: is.finite,
});
export const segmentationModelShape = is.shape('SegmentationModel', {
  forward: is.callback,
  namedChildren: is.callback,
});
export const predictionShape = is.shape('Prediction', {
  heads: is.listOf(is.tensor),
  ensemble: is.tensor,
});
export const predictorShape = is.shape('Predictor', {
  forwardHeads: is.callback,
});
export const residualSumShape = is.shape('ResidualSum', {
  x0: is.tensor,
  branch: is.tensor,
  factors: is.orNull(is.tensor),
  norm: normWeightsShape,
});
export const modelInputShape = is.shape('options of a model', { numClasses: is.finite });
