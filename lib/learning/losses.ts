import type { Prediction } from '../models/index.js';
import type { Tensor } from '../torch/index.js';
import { crossEntropies, type OhemOptions } from './ohem.js';

/** The label that no loss counts. */
export const IGNORE = 255;

/** All M + 1 predictions, the ensemble last. */
export function allHeads({ heads, ensemble }: Prediction): Tensor[] {
  return [...heads, ensemble];
}

/**
 * Both losses of a semi-supervised step in one pass: as `supervisedLoss` and `pseudoLoss`.
 * @param heads logits, [B, K, h, w] each
 */
export function semiSupervisedLosses(
  heads: readonly Tensor[],
  labels: Tensor,
  pseudo: Tensor,
  ohem: OhemOptions,
): { sup: Tensor; pseudo: Tensor } {
  return crossEntropies(heads, { labels, pseudo }, { ignoreIndex: IGNORE, ...ohem });
}

/**
 * OHEM cross entropy, mean over the heads.
 * @param heads logits of any resolution, [B, K, h, w] each
 * @param labels [N, H, W] int64 with N ≤ B: the labels of the first N samples
 */
export function supervisedLoss(
  heads: readonly Tensor[],
  labels: Tensor,
  ohem: OhemOptions,
): Tensor {
  return crossEntropies(heads, { labels }, { ignoreIndex: IGNORE, ...ohem }).sup;
}

/**
 * Cross entropy with the teacher's labels, mean over pixels and heads; 0 where all are ignored.
 * @param heads logits of any resolution, [B, K, h, w] each
 * @param labels [B, H, W] int64, 255 = ignore
 */
export function pseudoLoss(heads: readonly Tensor[], labels: Tensor): Tensor {
  const unused = { threshold: 1, minKept: 0, ignoreIndex: IGNORE };
  return crossEntropies(heads, { pseudo: labels }, unused).pseudo;
}

/** sup + λ · pseudo. */
export function totalLoss(sup: Tensor, pseudo: Tensor, weight: number | Tensor): Tensor {
  return typeof weight === 'number'
    ? sup.add(pseudo, { alpha: weight })
    : sup.add(pseudo.mul(weight));
}

/** λ at an iteration: its warm-up, then its full value. */
export function pseudoWeight(
  { lambda, lambdaWarmup }: { lambda: number; lambdaWarmup: number },
  iteration: number,
): number {
  return iteration < lambdaWarmup ? (lambda * iteration) / lambdaWarmup : lambda;
}

/** minKept of m3l.md section 5: floor(fraction · H · W) for every labelled image of the batch. */
export function minKeptPixels(labelled: Tensor, fraction: number): number {
  const [batch, height, width] = labelled.shape as [number, number, number];
  return Math.floor(fraction * height * width) * batch;
}
