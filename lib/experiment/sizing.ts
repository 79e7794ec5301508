import type { NearestRule } from '../data/index.js';
import type { Config } from './config/config.js';

/** How images are brought to the size that a model sees, and predictions to that of the labels. */
export interface Sizing {
  /** [height, width] of inputs in evaluation and prediction; absent: each image's own. */
  evaluationSize?: [number, number];
  /** Of depth and labels, in training too. */
  nearest: NearestRule;
  /** Whether logits are brought to the labels' size with their corners aligned. */
  alignCorners: boolean;
}

/**
 * The sizing of a configuration (m3l.md section 7). `fidelity: paper` squeezes evaluated images to the
 * crop, as the authors do; by default they keep size and aspect. `data.evaluationSize` overrides both.
 */
export function sizingOf({ data, framework }: Pick<Config, 'data' | 'framework'>): Sizing {
  const paper = framework.fidelity === 'paper';
  return {
    evaluationSize: data.evaluationSize ?? (paper ? data.crop : undefined),
    nearest: paper ? 'opencv' : 'half-pixel',
    alignCorners: paper,
  };
}
