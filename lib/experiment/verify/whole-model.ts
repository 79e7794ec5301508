import { z } from 'zod';
import { IGNORE_LABEL } from '../../data/index.js';
import { allHeads, supervisedLoss } from '../../learning/index.js';
import type { Prediction } from '../../models/index.js';
import type { Tensor } from '../../torch/index.js';
import { BOUNDS, type Comparison } from './comparison.js';
import type { GoldenFile } from './golden-file.js';

/** What the metadata of every file about one model and one batch may say. */
export const wholeModelFacts = z.object({
  backbone: z.string(),
  masking_ratio: z.literal(1, 'expected 1, others are random').default(1),
  masked_branches: z.array(z.int()).optional(),
  ohem: z
    .object({
      thresh: z.number(),
      min_kept: z.int().nonnegative(),
      ignore: z.int().default(IGNORE_LABEL),
    })
    .optional(),
  l1_lambda: z.number().positive().optional(),
});

export type WholeModelFacts = z.output<typeof wholeModelFacts>;

/** Those of the predictions that the file has under `prefix`; `names` are the heads', as there. */
export function comparePredictions(
  file: GoldenFile,
  compare: Comparison,
  prefix: string,
  names: readonly string[],
  prediction: Prediction,
): void {
  for (const [index, logits] of allHeads(prediction).entries()) {
    const name = prefix + names[index];
    if (!file.has(name)) continue;
    compare.tensor('predictions', name, logits, file.tensor(name), BOUNDS.prediction);
  }
}

/**
 * The OHEM loss of a prediction, mean over its heads, compared where the file has it as `name`; null
 * where it has no labels to take it with.
 */
export function compareOhemLoss(
  file: GoldenFile,
  compare: Comparison,
  name: string,
  prediction: Prediction,
  { ohem }: WholeModelFacts,
): Tensor | null {
  if (!ohem || !file.has('input.labels')) return null;
  const { device } = prediction.ensemble;
  const labels = file.tensor('input.labels').to({ dtype: 'int64', device });
  const loss = supervisedLoss(allHeads(prediction), labels, {
    threshold: ohem.thresh,
    minKept: ohem.min_kept,
    ignoreIndex: ohem.ignore,
  });
  compareLoss(file, compare, name, loss);
  return loss;
}

/** A loss, where the file has it. */
export function compareLoss(
  file: GoldenFile,
  compare: Comparison,
  name: string,
  loss: Tensor,
): void {
  if (!file.has(name)) return;
  compare.scalar('losses', name, loss.item(), file.scalar(name), BOUNDS.loss);
}
