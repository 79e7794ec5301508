export {
  type AdapterOptions,
  fromAuthors,
  fromEncoder,
  fromHuggingFace,
  fromNvidia,
  loadPretrained,
} from './adapters.js';
export {
  ChannelExchange,
  type ChannelExchangeOptions,
  ExchangingNorm,
} from './channel-exchange.js';
export { CrossModalRectification, Rectify } from './cross-modal-rectification.js';
export { DeepLabV3Plus, type DeepLabV3PlusOptions } from './deeplabv3plus.js';
export { defineModel, type ModelDescriptor, type ModelInput } from './descriptor.js';
export { ENSEMBLES, type EnsembleRule } from './ensemble.js';
export {
  type CreateFusion,
  type Fused,
  Fusion,
  type FusionSite,
  type ResidualSum,
} from './fusion.js';
export { FusionModel, type FusionModelOptions } from './fusion-model.js';
export { initialise } from './initialise.js';
export { LinearFuse, LinearFusion, type LinearFusionOptions } from './linear-fusion.js';
export { fillMasked, fillModality } from './missing-modalities/fill.js';
export { FILLS, type Fill } from './missing-modalities/fills.js';
export { checkInputs, type Masking, type Masks } from './missing-modalities/inputs.js';
export {
  type Backbone,
  backboneNames,
  backbones,
  MixTransformer,
  type MixTransformerOptions,
} from './mit.js';
export { addAndNormalise } from './modality-norm.js';
export { predictStreams } from './predict-streams.js';
export { RefineNet, type RefineNetOptions } from './refinenet.js';
export {
  createModel,
  type ModelName,
  type ModelOptions,
  modelNamed,
  modelNames,
  models,
} from './registry.js';
export { type ResNetName, resnetNames } from './resnet.js';
export { Segformer, type SegformerOptions } from './segformer.js';
export { SegformerHead, type SegformerHeadOptions } from './segformer-head.js';
export {
  type EnsembleModel,
  type ForwardOptions,
  type Head,
  ModelError,
  type ParameterRole,
  type Prediction,
  type Predictor,
  type SegmentationModel,
  type StreamedModel,
} from './segmentation-model.js';
export { asPrediction, everyHead, headsOf } from './streams.js';
export { toHuggingFace } from './to-hugging-face.js';
export { TokenFuse, TokenFusion, type TokenFusionOptions } from './token-fusion.js';
export {
  UnifiedRepresentation,
  type UnifiedRepresentationOptions,
} from './unified-representation.js';
export { bilinear } from './upsample.js';
