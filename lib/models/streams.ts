import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import type { Feature } from './mit.js';
import { type Head, ModelError, type Prediction } from './segmentation-model.js';

/**
 * The modalities, ascending, whose streams the heads asked for read.
 * @throws {ModelError} `M3L_MODEL_HEAD`
 */
export function streamsOf(heads: readonly Head[], modalities: number): number[] {
  const foreign = heads.find(
    (head) => head !== 'ensemble' && !(Number.isInteger(head) && head >= 0 && head < modalities),
  );
  if (foreign !== undefined || heads.length === 0) {
    throw new ModelError(
      'M3L_MODEL_HEAD',
      `${foreign === undefined ? 'No head' : `Head ${foreign}`} is asked for, expected 'ensemble' ` +
        `or modalities from 0 to ${modalities - 1}.`,
    );
  }
  const all = Array.from({ length: modalities }, (_, index) => index);
  return heads.includes('ensemble') ? all : all.filter((index) => heads.includes(index));
}

/** The rows of `streams` of a feature [M·B, N, C], modality by modality: itself where they are all. */
export function selectStreams(
  feature: Feature,
  streams: readonly number[],
  modalities: number,
): Feature {
  return { ...feature, tokens: selectRows(feature.tokens, streams, modalities) };
}

/** As {@link selectStreams}, of a batch [M·B, ...]. */
export function selectRows(batch: Tensor, streams: readonly number[], modalities: number): Tensor {
  if (streams.length === modalities) return batch;
  const rows = batch.shape[0]! / modalities;
  const selected = streams.map((m) => batch.narrow(0, m * rows, rows));
  return selected.length === 1 ? selected[0]! : torch.cat(selected, 0);
}

/** Every head: those of the modalities, then the ensemble. */
export function everyHead(modalities: number): Head[] {
  return [...Array(modalities).keys(), 'ensemble'];
}

/** What `make` gives of each head, made once: of one modality the ensemble is its own prediction. */
export function perHead(
  heads: readonly Head[],
  modalities: number,
  make: (head: Head) => Tensor,
): Tensor[] {
  const made = new Map<Head, Tensor>();
  return heads.map((asked) => {
    const head = modalities === 1 ? 0 : asked;
    const logits = made.get(head) ?? make(head);
    made.set(head, logits);
    return logits;
  });
}

/** Logits of every head, in that order, by their names. */
export function asPrediction(logits: readonly Tensor[]): Prediction {
  return { heads: logits.slice(0, -1), ensemble: logits.at(-1)! };
}
