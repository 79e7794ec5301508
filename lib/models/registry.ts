import { LinearFusion, type LinearFusionOptions } from './linear-fusion.js';
import { leastSide } from './mit.js';
import { Segformer } from './segformer.js';
import { ModelError, type SegmentationModel } from './segmentation-model.js';

const models = {
  'linear-fusion': (options: LinearFusionOptions): SegmentationModel => new LinearFusion(options),
  segformer: (options: LinearFusionOptions): SegmentationModel => new Segformer(options),
};
export type ModelName = keyof typeof models;
export const modelNames = Object.keys(models) as readonly ModelName[];

/** The least height and the least width of images that a model takes. */
export const leastSides: Readonly<Record<ModelName, number>> = {
  'linear-fusion': leastSide,
  segformer: leastSide,
};

export interface ModelOptions extends LinearFusionOptions {
  name: ModelName;
}

/**
 * A model by name, with values from scratch.
 * @throws {ModelError} `M3L_MODEL_UNKNOWN`, `M3L_MODEL_MODALITIES`.
 */
export function createModel({ name, ...options }: ModelOptions): SegmentationModel {
  if (!Object.hasOwn(models, name)) {
    throw new ModelError(
      'M3L_MODEL_UNKNOWN',
      `No model '${name}', expected one of ${modelNames.join(', ')}.`,
    );
  }
  return models[name](options);
}
