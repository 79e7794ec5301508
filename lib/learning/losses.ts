import type { Prediction } from '../models/index.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { logProbabilities, type OhemOptions, ohemPerHead } from './ohem.js';

/** The label that no loss counts. */
export const IGNORE = 255;

const REDUCE_SUM = 2;

/**
 * log softmax of all M + 1 predictions, the ensemble last: [B, K, H, W] each.
 * Taken once, since the supervised and the pseudo loss both start from it.
 */
export function headLogProbabilities(prediction: Prediction): Tensor[] {
  return [...prediction.heads, prediction.ensemble].map(logProbabilities);
}

/**
 * OHEM cross entropy, mean over the heads.
 * @param heads log probabilities, [B, K, H, W] each
 * @param labels [N, H, W] int64 with N ≤ B: the labels of the first N samples
 */
export function supervisedLoss(
  heads: readonly Tensor[],
  labels: Tensor,
  ohem: OhemOptions,
): Tensor {
  const count = labels.shape[0]!;
  const labelled = heads.map((head) => (count === head.shape[0] ? head : head.narrow(0, 0, count)));
  return mean(ohemPerHead(labelled, labels, { ignoreIndex: IGNORE, ...ohem }));
}

/**
 * Cross entropy with the teacher's labels, mean over pixels and heads; 0 where all are ignored.
 * @param heads log probabilities, [B, K, H, W] each
 * @param labels [B, H, W] int64, 255 = ignore
 */
export function pseudoLoss(heads: readonly Tensor[], labels: Tensor): Tensor {
  const counted = labels.ne(IGNORE).sum().clamp(1);
  return mean(
    heads.map((head) => torch.nllLoss2d(head, labels, null, REDUCE_SUM, IGNORE).div(counted)),
  );
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

function mean(losses: Tensor[]): Tensor {
  return torch.stack(losses).mean();
}
