import { checkArguments } from '../torch/check-arguments.js';
import * as is from '../torch/rules.js';
import { channelExchangeModel } from './channel-exchange.js';
import { crossModalRectificationModel } from './cross-modal-rectification.js';
import { deepLabV3PlusModel } from './deeplabv3plus.js';
import type { ModelDescriptor, ModelInput } from './descriptor.js';
import { linearFusionModel } from './linear-fusion.js';
import { refineNetModel } from './refinenet.js';
import { segformerModel } from './segformer.js';
import { ModelError, type SegmentationModel } from './segmentation-model.js';
import { tokenFusionModel } from './token-fusion.js';
import { unifiedRepresentationModel } from './unified-representation.js';

/** Every model, a line each. */
const MODELS = [
  linearFusionModel,
  tokenFusionModel,
  crossModalRectificationModel,
  unifiedRepresentationModel,
  channelExchangeModel,
  segformerModel,
  refineNetModel,
  deepLabV3PlusModel,
] as const;

type Listed = (typeof MODELS)[number];
/** Name of a model, as configurations have it. */
export type ModelName = Listed['name'];

/** A model's name and what it is made from. */
export type ModelOptions = {
  [Each in Listed as Each['name']]: { name: Each['name'] } & Parameters<Each['create']>[0];
}[ModelName];

/** Every model, in the order in which they are told. */
export const models: readonly ModelDescriptor<ModelName>[] = MODELS;
/** The names of all models. */
export const modelNames: readonly ModelName[] = MODELS.map(({ name }) => name);

/**
 * A model's descriptor by its name.
 * @throws {ModelError} `M3L_MODEL_UNKNOWN`
 */
export function modelNamed(name: string): ModelDescriptor<ModelName> {
  checkArguments('modelNamed', { name }, { name: is.text });

  const found = models.find((model) => model.name === name);
  if (found) return found;
  throw new ModelError(
    'M3L_MODEL_UNKNOWN',
    `No model '${name}', expected one of ${modelNames.join(', ')}.`,
  );
}

/**
 * A model by name, with values from scratch.
 * @throws {ModelError} `M3L_MODEL_UNKNOWN`, `M3L_MODEL_MODALITIES`.
 */
export function createModel(options: ModelOptions): SegmentationModel {
  checkArguments(
    'createModel',
    { options },
    { options: is.shape('options', { name: is.text, numClasses: is.finite }) },
  );
  const { name, ...input } = options;

  return modelNamed(name).create(input as ModelInput);
}
