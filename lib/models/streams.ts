import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { type Head, ModelError, type Prediction, type Predictor } from './segmentation-model.js';

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

/** The rows of `streams` of a batch [M·B, ...], modality by modality: itself where they are all. */
export function selectStreams(
  batch: Tensor,
  streams: readonly number[],
  modalities: number,
): Tensor {
  if (streams.length === modalities) return batch;
  const rows = batch.shape[0]! / modalities;
  const selected = streams.map((m) => batch.narrow(0, m * rows, rows));
  return selected.length === 1 ? selected[0]! : torch.cat(selected, 0);
}

/**
 * The logits of the heads asked for.
 * @param logits [S·B, K, h, w] of the streams that these heads read
 * @param weights softmax(α) as [1, M]; null where there is one modality
 */
export function headsOf(
  logits: Tensor,
  streams: readonly number[],
  heads: readonly Head[],
  weights: Tensor | null,
): Tensor[] {
  const single = logits.unflatten(0, [streams.length, -1]).unbind(0); // S × [B, K, h, w]
  return heads.map((head) => {
    if (head !== 'ensemble') return single[streams.indexOf(head)]!;
    return weights ? ensembleOf(logits, weights) : single[0]!;
  });
}

/** Σ softmax(α)_m · detach(prediction_m): trains α alone. */
function ensembleOf(logits: Tensor, weights: Tensor): Tensor {
  const modalities = weights.shape[1]!;
  const [rows, ...map] = logits.shape as [number, ...number[]];
  return weights.mm(logits.detach().view([modalities, -1])).view([rows / modalities, ...map]);
}

/** Every head of a predictor, as `forward` gives them. */
export function predictAll(
  predictor: Predictor,
  ...[inputs, options]: Parameters<Predictor['forward']>
): Prediction {
  const { modalities } = predictor;
  const each = Array.from({ length: modalities }, (_, index) => index);
  const logits = predictor.forwardHeads(inputs, [...each, 'ensemble'], options);
  return { heads: logits.slice(0, modalities), ensemble: logits[modalities]! };
}
