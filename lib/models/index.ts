export {
  type AdapterOptions,
  fromAuthors,
  fromHuggingFace,
  fromNvidia,
  loadPretrained,
} from './adapters.js';
export { FILLS, type Fill, fillMasked, fillModality } from './fill.js';
export { initialise } from './initialise.js';
export { LinearFusion, type LinearFusionOptions, linearFusion } from './linear-fusion.js';
export {
  type Backbone,
  backbones,
  type Feature,
  type Fusion,
  MixTransformer,
  type MixTransformerOptions,
} from './mit.js';
export {
  createModel,
  leastSides,
  type ModelName,
  type ModelOptions,
  modelNames,
} from './registry.js';
export { Segformer, type SegformerOptions } from './segformer.js';
export { SegformerHead, type SegformerHeadOptions } from './segformer-head.js';
export {
  checkInputs,
  type ForwardOptions,
  type Head,
  type Masking,
  type Masks,
  ModelError,
  type Prediction,
  type Predictor,
  type SegmentationModel,
} from './segmentation-model.js';
export { bilinear } from './upsample.js';
