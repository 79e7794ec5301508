import type * as nn from '../nn/index.js';
import { M3lError } from '../torch/errors.js';
import type * as torch from '../torch/index.js';
import type { Tensor } from '../torch/index.js';
import type { EnsembleRule } from './ensemble.js';
import type { Masking, Masks } from './missing-modalities/inputs.js';
import type { MixTransformer } from './mit.js';
import type { SegformerHead } from './segformer-head.js';

/** What a model was given does not fit it. Codes `M3L_MODEL_…`. */
export class ModelError extends M3lError {}

/** What a forward pass takes by name. */
export interface ForwardOptions extends Masking {
  /**
   * Which inputs hold nothing of their modality but something that fills its place, so that its head
   * does not vote in the ensemble: for each sample as `masked`, or for the whole batch a set of
   * modalities. Their values are computed with all the same.
   */
  filled?: Masks | ReadonlySet<number>;
  /** Whether predictions have the input's size (default), or a quarter of it (rounded up). */
  upsample?: boolean;
}

/** Logits of a model, by its heads. */
export interface Prediction {
  /** Logits of each modality's stream: M × [B,K,H,W] float32. */
  heads: Tensor[];
  /** Logits of all streams together, [B,K,H,W]; the only head's where there is one modality. */
  ensemble: Tensor;
  /** A scalar that training adds to the supervised loss, weighted already; absent where there is none. */
  penalty?: Tensor;
}

/** In which of the optimiser's groups a parameter is. */
export type ParameterRole = 'encoder' | 'encoder-norm' | 'decoder' | 'alpha';

/** Whose logits: those of a modality's stream, by its index, or of all streams together. */
export type Head = number | 'ensemble';

/** What predicts: a model, or its view for inference. */
export interface Predictor {
  readonly modalities: number;
  readonly numClasses: number;
  /** Whether a missing modality is known to the model; otherwise its input must be filled. */
  readonly hasMaskToken: boolean;
  /** The least height and the least width of the inputs. */
  readonly leastSide: number;
  /** The heads it has, the ensemble last. Absent: one for each modality, and the ensemble. */
  readonly heads?: readonly Head[];
  /**
   * @param inputs M × [B,3,H,W] float32, normalised. null: missing for the whole batch (mask
   *   token); several may be, not all.
   * @throws {ModelError} `M3L_MODEL_INPUT` when inputs or masking do not fit the model.
   */
  forward(inputs: readonly (Tensor | null)[], options?: ForwardOptions): Prediction;

  /**
   * The logits of the heads asked for, in their order: what `forward` gives of them, without the
   * work that only the others need. Inputs as there.
   * @throws {ModelError} `M3L_MODEL_HEAD` for a head that the model has not; `M3L_MODEL_INPUT`.
   */
  forwardHeads(
    inputs: readonly (Tensor | null)[],
    heads: readonly Head[],
    options?: ForwardOptions,
  ): Tensor[];
}

/** A network that predicts the classes of pixels from several modalities, any of which may be missing. */
export interface SegmentationModel extends nn.Module, Predictor {
  /**
   * What encoder and head compute products in (`float32`, unless set): narrower by autocast. Weights,
   * sums and the predictions are float32 all the same.
   */
  precision: torch.AutocastDType;

  /**
   * The weights of an encoder that modalities share (`encoder.…`), by the names that they have here;
   * absent: the same.
   */
  ownEncoder?(shared: nn.StateDict): nn.StateDict;

  /**
   * With which processes each batch in training is shared: what the model gathers of its batches is then of
   * the whole of them. Absent or null: with none.
   */
  statisticsGroup?: nn.StatisticsGroup | null;

  /** What a parameter counts as; absent: what its name says, see `parameterGroups`. */
  roleOf?(name: string, parameter: Tensor): ParameterRole;

  forward(...args: Parameters<Predictor['forward']>): Prediction;
}

/** A model that has a prediction for each modality, and of these an ensemble. */
export interface EnsembleModel extends SegmentationModel {
  /** [M]; absent where there is one modality. */
  readonly alpha?: Tensor;
  /** Whose heads the ensemble weighs, and how; absent: `evidence`. */
  readonly ensemble?: EnsembleRule;
  /** [M, K], how much of each class each head says, which training gathers; for `evidence` alone. */
  readonly headShares?: Tensor | undefined;
}

/**
 * A model that is nothing but an encoder of all modalities' tokens together, one head applied to each
 * modality's features, and the ensemble of these predictions by α: `predictStreams` is its whole
 * forward pass. Who says `streamed` promises so much, and the view for inference relies on it.
 */
export interface StreamedModel extends EnsembleModel {
  readonly streamed: true;
  readonly encoder: MixTransformer;
  readonly decoder: SegformerHead;
}
