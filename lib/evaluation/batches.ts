import { setImmediate } from 'node:timers/promises';
import { type Batch, disposeBatch } from '../data/index.js';
import * as torch from '../torch/index.js';
import { EvaluationError } from './errors.js';

/** What an evaluation goes through, and whom it tells. */
export interface Batches {
  batches: AsyncIterable<Batch> | Iterable<Batch>;
  onProgress?: ((images: number) => void) | undefined;
  signal?: AbortSignal | undefined;
  /** Images of the set before the first of the batches (0). */
  first?: number | undefined;
  /** Without images it is not empty (false): other processes have them. */
  mayBeEmpty?: boolean;
}

/**
 * Takes in one batch after the other, each in a scope and without gradients, and disposes of it.
 *
 * @param take gets a batch, and how many images of the set there were before it
 * @returns how many images there were
 * @throws EvaluationError M3L_NOTHING_TO_EVALUATE; the signal's reason
 */
export async function eachBatch(
  { batches, onProgress, signal, first = 0, mayBeEmpty = false }: Batches,
  take: (batch: Batch, images: number) => void,
): Promise<number> {
  let images = 0;
  for await (const batch of batches) {
    try {
      await setImmediate(); // lets signals through, as in the trainer
      signal?.throwIfAborted();
      torch.scope(() => torch.noGrad(() => take(batch, first + images)));
      images += batch.names.length;
    } finally {
      disposeBatch(batch);
    }
    onProgress?.(images);
  }
  if (images > 0 || mayBeEmpty) return images;
  throw new EvaluationError(
    'M3L_NOTHING_TO_EVALUATE',
    'the evaluation set is empty: expected at least one labelled image. Check the list file.',
  );
}
