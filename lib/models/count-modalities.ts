import { ModelError } from './segmentation-model.js';

/**
 * M of a model that needs several.
 * @param other the model for one
 * @throws {ModelError} `M3L_MODEL_MODALITIES`
 */
export function severalModalities(name: string, modalities = 2, other = 'segformer'): number {
  if (Number.isInteger(modalities) && modalities >= 2) return modalities;
  throw new ModelError(
    'M3L_MODEL_MODALITIES',
    `${name}: ${modalities} modalities, expected at least 2. Use ${other} for one.`,
  );
}

/**
 * @param other a model for more
 * @throws {ModelError} `M3L_MODEL_MODALITIES`
 */
export function requireOneModality(name: string, modalities = 1, other = 'linear-fusion'): void {
  if (modalities === 1) return;
  throw new ModelError(
    'M3L_MODEL_MODALITIES',
    `${name}: ${modalities} modalities, expected 1. Use ${other} for more.`,
  );
}
