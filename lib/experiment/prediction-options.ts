import type { InputOptions } from '../data/index.js';
import { type PredictClassesOptions, viewsOf } from '../evaluation/index.js';
import type { Config } from './config/config.js';
import { specsOf } from './networks.js';
import { sizingOf } from './sizing.js';

/** How images are loaded for prediction. */
export function loadingOf(config: Config): InputOptions {
  const { evaluationSize: size, nearest } = sizingOf(config);
  const { resize, align } = config.data;
  return { size, resize, align, nearest, device: config.device };
}

/** How classes are predicted, but for their size. */
export function predictionOf(config: Config): Omit<PredictClassesOptions, 'size'> {
  const { fill } = config.evaluate;
  const { alignCorners } = sizingOf(config);
  return {
    specs: specsOf(config),
    fill,
    seed: config.seed,
    alignCorners,
    ...viewsOf(config.evaluate),
  };
}
