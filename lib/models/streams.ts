import { checkArguments } from '../torch/check-arguments.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import * as is from '../torch/rules.js';
import { ensemble, type Votes } from './ensemble.js';
import type { Feature } from './mit.js';
import {
  type EnsembleModel,
  type Head,
  ModelError,
  type Prediction,
  type Predictor,
} from './segmentation-model.js';
import { bilinear } from './upsample.js';

/**
 * The modalities, ascending, whose streams the heads asked for read.
 * @throws {ModelError} `M3L_MODEL_HEAD`
 */
export function streamsOf(
  heads: readonly Head[],
  modalities: number,
  { voters }: Pick<Votes, 'voters'>,
): number[] {
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
  const read = heads.includes('ensemble') ? [...heads, ...voters] : heads;
  return Array.from({ length: modalities }, (_, index) => index).filter((m) => read.includes(m));
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

/** In each row of a batch [M·B, ...] the mean of the other modalities' rows of the same sample. */
export function othersOf(batch: Tensor, modalities: number): Tensor {
  const streams = batch.chunk(modalities, 0);
  const others = streams.map((_, m) => {
    const [first, ...rest] = streams.filter((_, j) => j !== m) as [Tensor, ...Tensor[]];
    const sum = rest.reduce((total, each) => total.add(each), first);
    return rest.length > 0 ? sum.div(rest.length + 1) : sum;
  });
  return torch.cat(others, 0);
}

/** The predictions [V·B, ...] of those who vote, out of those [S·B, ...] of `streams`. */
export function votersOf(
  predictions: Tensor,
  streams: readonly number[],
  { voters }: Pick<Votes, 'voters'>,
): Tensor {
  const rows = voters.map((m) => streams.indexOf(m));
  return selectRows(predictions, rows, streams.length);
}

/** Every head that a model has, the ensemble last. */
export function headsOf(model: Pick<Predictor, 'heads' | 'modalities'>): readonly Head[] {
  checkArguments('headsOf', { model }, { model: is.shape('Predictor', { modalities: is.size }) });
  return model.heads ?? everyHead(model.modalities);
}

/** Those of the modalities, then the ensemble. */
export function everyHead(modalities: number): Head[] {
  checkArguments('everyHead', { modalities }, { modalities: is.size });

  return [...Array(modalities).keys(), 'ensemble'];
}

/**
 * The logits of the heads asked for, each made once: of one modality the ensemble is its own prediction.
 * @param predictions [S·B, K, h, w], of the modalities `streams`
 * @param size what they are brought to; null: they stay
 */
export function logitsOf(
  predictions: Tensor,
  asked: {
    heads: readonly Head[];
    streams: readonly number[];
    votes: Votes;
    size: [number, number] | null;
    model: Pick<EnsembleModel, 'modalities' | 'alpha' | 'headShares'>;
  },
): Tensor[] {
  const { heads, streams, votes, size, model } = asked;
  const own = predictions.unflatten(0, [streams.length, -1]).unbind(0); // S × [B, K, h, w]
  const upsample = size && bilinear(own[0]!, size);
  const vote = () => {
    const weighing = { alpha: model.alpha!, headShares: model.headShares };
    return ensemble(votersOf(predictions, streams, votes), weighing, votes);
  };
  const made = new Map<Head, Tensor>();
  return heads.map((each) => {
    const head = model.modalities === 1 ? 0 : each;
    const found = made.get(head);
    if (found) return found;
    const small = head === 'ensemble' ? vote() : own[streams.indexOf(head)]!;
    const logits = upsample ? upsample(small) : small;
    made.set(head, logits);
    return logits;
  });
}

/** Logits of every head of a model, the ensemble's last, by their names; with what it adds to the loss. */
export function asPrediction(logits: readonly Tensor[], penalty?: Tensor): Prediction {
  checkArguments(
    'asPrediction',
    { logits, penalty },
    { logits: is.listOf(is.tensor), penalty: is.maybe(is.tensor) },
  );

  return { heads: logits.slice(0, -1), ensemble: logits.at(-1)!, ...(penalty && { penalty }) };
}
