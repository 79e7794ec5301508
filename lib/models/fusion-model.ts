import * as nn from '../nn/index.js';
import { checkArguments } from '../torch/check-arguments.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import * as is from '../torch/rules.js';
import { severalModalities } from './count-modalities.js';
import type { ModelInput } from './descriptor.js';
import type { EnsembleRule } from './ensemble.js';
import { initialise } from './initialise.js';
import {
  type Backbone,
  leastSide,
  type MixTransformer,
  type MixTransformerOptions,
} from './mit.js';
import { predictStreams } from './predict-streams.js';
import { modelInputShape } from './rules.js';
import { SegformerHead } from './segformer-head.js';
import type { ForwardOptions, Head, Prediction, StreamedModel } from './segmentation-model.js';
import { asPrediction, everyHead } from './streams.js';

/** For M ≥ 2 modalities. */
export interface FusionModelOptions extends ModelInput {
  backbone?: Backbone;
  /**
   * Standard deviation of the mask token's initial values; 1 by default, the paper's. With a small one a
   * missing modality's stream, whose tokens are all alike, soon reads the others by the fusion: a norm
   * lets through little of what is added to large values.
   */
  maskTokenStd?: number;
  /** Whose heads the ensemble weighs, and how; `evidence` by default, `all` is the paper's. */
  ensemble?: EnsembleRule;
  /** Stochastic depth of the last block; it rises linearly from 0. */
  dropPath?: number;
  /** Dropout2d of the decoder. */
  dropout?: number;
  decoderWidth?: number;
  /** Of the encoder; 1e-6 by default. */
  layerNormEps?: number;
}

/**
 * A model for M ≥ 2 modalities of one encoder and one head with shared weights: the modalities meet in
 * the fusion of every block, which makes the model what it is, and in the ensemble of their predictions.
 * State-dict names are those of the authors' checkpoints (m3l.md section 9).
 */
export abstract class FusionModel extends nn.Module implements StreamedModel {
  readonly streamed = true;
  readonly encoder: MixTransformer;
  readonly decoder: SegformerHead;
  readonly alpha: Tensor;
  readonly modalities: number;
  readonly numClasses: number;
  readonly hasMaskToken: boolean;
  readonly leastSide = leastSide;
  readonly ensemble: EnsembleRule;
  readonly headShares: Tensor | undefined;
  precision: torch.AutocastDType = 'float32';

  /** @param createEncoder the encoder with its fusion, of a model called `name` */
  constructor(
    name: string,
    options: FusionModelOptions,
    createEncoder: (options: MixTransformerOptions & { modalities: number }) => MixTransformer,
  ) {
    super();
    checkArguments(
      'FusionModel',
      { name, options, createEncoder },
      { name: is.text, options: modelInputShape, createEncoder: is.callback },
    );
    const { backbone = 'mit-b2', numClasses, maskToken = true } = options;
    const modalities = severalModalities(name, options.modalities);
    const { dropPath = 0.1, dropout = 0.1, layerNormEps, ensemble = 'evidence' } = options;
    this.modalities = modalities;
    this.numClasses = numClasses;
    this.hasMaskToken = maskToken;
    this.ensemble = ensemble;
    this.encoder = createEncoder({ backbone, modalities, dropPath, maskToken, layerNormEps });
    this.decoder = new SegformerHead({
      channels: this.encoder.channels,
      numClasses,
      dropout,
      width: options.decoderWidth,
      freezeBatchNorm: options.freezeBatchNorm,
    });
    this.alpha = nn.parameter(() => torch.ones([modalities]));
    if (ensemble === 'evidence') {
      this.headShares = nn.buffer(() => torch.zeros([modalities, numClasses]));
    }
    initialise(this, options);
  }

  /**
   * As {@link nn.Module.loadStateDict}; how the ensemble weighs is asked of a model anew each time, so that
   * weights fit with or without what it remembers for that.
   */
  override loadStateDict(
    dict: nn.StateDict,
    options: { strict?: boolean; assign?: boolean } = {},
  ): nn.LoadResult {
    return torch.scope(() => super.loadStateDict(withHeadShares(dict, this.headShares), options));
  }

  override forward(inputs: readonly (Tensor | null)[], options: ForwardOptions = {}): Prediction {
    const { logits, penalty } = predictStreams(this, inputs, everyHead(this.modalities), options);
    return asPrediction(logits, penalty);
  }

  forwardHeads(
    inputs: readonly (Tensor | null)[],
    heads: readonly Head[],
    options: ForwardOptions = {},
  ): Tensor[] {
    return predictStreams(this, inputs, heads, options).logits;
  }
}

/** A state with the shares that an ensemble of `evidence` remembers where it has them, else without. */
export function withHeadShares(
  { head_shares, ...dict }: nn.StateDict,
  headShares: Tensor | undefined,
): nn.StateDict {
  if (headShares === undefined) return dict;
  return { ...dict, head_shares: head_shares ?? torch.zerosLike(headShares) };
}
