import * as nn from '../nn/index.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { initialise } from './initialise.js';
import { type Backbone, leastSide, MixTransformer } from './mit.js';
import { SegformerHead } from './segformer-head.js';
import {
  atPrecision,
  checkInputs,
  type ForwardOptions,
  type Head,
  ModelError,
  type Prediction,
  type SegmentationModel,
} from './segmentation-model.js';
import { headsOf, predictAll, selectStreams, streamsOf } from './streams.js';
import { bilinear } from './upsample.js';

export interface LinearFusionOptions {
  backbone?: Backbone;
  numClasses: number;
  /** M ≥ 2. */
  modalities?: number;
  /** Learn a token that stands for a missing modality. */
  maskToken?: boolean;
  /**
   * Standard deviation of the mask token's initial values; 1 by default, the paper's. With a small one a
   * missing modality's stream, whose tokens are all alike, soon reads the others by the fusion: a norm
   * lets through little of what is added to large values.
   */
  maskTokenStd?: number;
  /** r: the share of a modality's own tokens in the fusion. */
  fusionRatio?: number;
  /** Stochastic depth of the last block; it rises linearly from 0. */
  dropPath?: number;
  /** Dropout2d of the decoder. */
  dropout?: number;
  decoderWidth?: number;
  /** Of the encoder; 1e-6 by default. */
  layerNormEps?: number;
  freezeBatchNorm?: boolean;
  /** Where initial values come from; the default generator otherwise. */
  generator?: torch.Generator;
}

/**
 * y_m = r·x_m + (1 − r)/(M − 1) · Σ_{j≠m} x_j (m3l.md, section 2), tokens [M·B, N, C].
 * The encoder does the same together with what follows it.
 */
export function linearFusion(tokens: Tensor, modalities: number, ratio: number): Tensor {
  return torch.ops.m3l!.linear_fuse!(tokens, modalities, ratio) as Tensor;
}

/**
 * Linear Fusion (Maheshwari, Liu, Kira, 2024) for M ≥ 2 modalities: one encoder and one head with
 * shared weights; the modalities meet in every attention, and in the ensemble of their predictions.
 * State-dict names are those of the authors' checkpoints (m3l.md, section 9).
 */
export class LinearFusion extends nn.Module implements SegmentationModel {
  readonly encoder: MixTransformer;
  readonly decoder: SegformerHead;
  readonly alpha: Tensor;
  readonly modalities: number;
  readonly numClasses: number;
  readonly hasMaskToken: boolean;
  readonly leastSide = leastSide;
  precision: torch.AutocastDType = 'float32';

  constructor(options: LinearFusionOptions) {
    super();
    const { backbone = 'mit-b2', numClasses, modalities = 2, maskToken = true } = options;
    const { fusionRatio = 0.8, dropPath = 0.1, dropout = 0.1 } = options;
    if (!Number.isInteger(modalities) || modalities < 2) {
      throw new ModelError(
        'M3L_MODEL_MODALITIES',
        `linear-fusion: ${modalities} modalities, expected at least 2. Use segformer for one.`,
      );
    }
    this.modalities = modalities;
    this.numClasses = numClasses;
    this.hasMaskToken = maskToken;
    this.encoder = new MixTransformer({
      backbone,
      modalities,
      dropPath,
      maskToken,
      layerNormEps: options.layerNormEps,
      fusion: { ratio: fusionRatio },
    });
    this.decoder = new SegformerHead({
      channels: this.encoder.channels,
      numClasses,
      dropout,
      width: options.decoderWidth,
      freezeBatchNorm: options.freezeBatchNorm,
    });
    this.alpha = nn.parameter(() => torch.ones([modalities]));
    initialise(this, options);
  }

  override forward(inputs: readonly (Tensor | null)[], options: ForwardOptions = {}): Prediction {
    return predictAll(this, inputs, options);
  }

  forwardHeads(
    inputs: readonly (Tensor | null)[],
    heads: readonly Head[],
    options: ForwardOptions = {},
  ): Tensor[] {
    const { modalities } = this;
    const { height, width } = checkInputs(inputs, modalities, options, this);
    const streams = streamsOf(heads, modalities);
    const computed = atPrecision(this.precision, inputs, () => {
      const features = this.encoder.forward(inputs, options).map(({ tokens, ...grid }) => ({
        tokens: selectStreams(tokens, streams, modalities),
        ...grid,
      }));
      return this.decoder.forward(features);
    });
    const weights = this.alpha.softmax(0).unsqueeze(0);
    const logits = headsOf(computed, streams, heads, weights);
    if (options.upsample === false) return logits;
    return logits.map(bilinear(logits[0]!, [height, width]));
  }
}
