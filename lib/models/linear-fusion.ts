import { z } from 'zod';
import * as nn from '../nn/index.js';
import { checkArguments } from '../torch/check-arguments.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import * as is from '../torch/rules.js';
import { defineModel, type ModelInput } from './descriptor.js';
import { ENSEMBLES, type EnsembleRule, rememberShares, votesOf } from './ensemble.js';
import { type Fused, Fusion, type ResidualSum } from './fusion.js';
import { initialise } from './initialise.js';
import { checkInputs } from './missing-modalities/inputs.js';
import { embedWithMaskToken } from './missing-modalities/mask-token.js';
import { type Backbone, backboneNames, leastSide, MixTransformer } from './mit.js';
import { linearFusionOptionsShape, streamedModelShape } from './rules.js';
import { SegformerHead } from './segformer-head.js';
import {
  type ForwardOptions,
  type Head,
  ModelError,
  type Prediction,
  type StreamedModel,
} from './segmentation-model.js';
import {
  asPrediction,
  everyHead,
  logitsOf,
  selectStreams,
  streamsOf,
  votersOf,
} from './streams.js';

/** For M ≥ 2 modalities. */
export interface LinearFusionOptions extends ModelInput {
  backbone?: Backbone;
  /**
   * Standard deviation of the mask token's initial values; 1 by default, the paper's. With a small one a
   * missing modality's stream, whose tokens are all alike, soon reads the others by the fusion: a norm
   * lets through little of what is added to large values.
   */
  maskTokenStd?: number;
  /** r: the share of a modality's own tokens in the fusion. */
  fusionRatio?: number;
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
 * Linear Fusion (m3l.md section 2): after the attention's projection every modality's token takes a
 * share of the other modalities' at the same place. It has no parameters.
 *
 *     y_m  = r · x_m + (1 − r)/(M − 1) · Σ_{j≠m} x_j
 */
export class LinearFuse extends Fusion {
  /** @param ratio r */
  constructor(readonly ratio: number) {
    super();
    checkArguments('LinearFuse', { ratio }, { ratio: is.finite });
  }

  override forward({ x0, branch: x, factors, norm }: ResidualSum): Fused {
    const { fuse_residual_norm } = torch.ops.m3l!;
    const { weight, bias, eps } = norm;
    const modalities = weight.shape[0]!;
    // In one pass over the tokens [M·B, N, C]:
    //   y_m  = r · x_m + (1 − r)/(M − 1) · Σ_{j≠m} x_j
    //   x1_m = x0_m + factors · y_m, normal_m = LayerNorm_m(x1_m)
    const args = [x0, x, factors, weight, bias, modalities, this.ratio, eps] as const;
    const [tokens, normal] = fuse_residual_norm!(...args) as [Tensor, Tensor];
    return { tokens, normal };
  }
}

/**
 * Linear Fusion (Maheshwari, Liu, Kira, 2024) for M ≥ 2 modalities: one encoder and one head with
 * shared weights; the modalities meet in every attention, and in the ensemble of their predictions.
 * State-dict names are those of the authors' checkpoints (m3l.md section 9).
 */
export class LinearFusion extends nn.Module implements StreamedModel {
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

  constructor(options: LinearFusionOptions) {
    super();
    checkArguments('LinearFusion', { options }, { options: linearFusionOptionsShape });

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
    this.ensemble = options.ensemble ?? 'evidence';
    this.encoder = new MixTransformer({
      backbone,
      modalities,
      dropPath,
      maskToken,
      layerNormEps: options.layerNormEps,
      fusion: () => new LinearFuse(fusionRatio),
    });
    this.decoder = new SegformerHead({
      channels: this.encoder.channels,
      numClasses,
      dropout,
      width: options.decoderWidth,
      freezeBatchNorm: options.freezeBatchNorm,
    });
    this.alpha = nn.parameter(() => torch.ones([modalities]));
    if (this.ensemble === 'evidence') {
      this.headShares = nn.buffer(() => torch.zeros([modalities, numClasses]));
    }
    initialise(this, options);
  }

  /**
   * As {@link nn.Module.loadStateDict}; how the ensemble weighs is asked of a model anew each time, so that
   * weights fit with or without what it remembers for that.
   */
  override loadStateDict(
    { head_shares, ...dict }: nn.StateDict,
    options: { strict?: boolean } = {},
  ): nn.LoadResult {
    const { headShares } = this;
    if (headShares === undefined) return super.loadStateDict(dict, options);
    if (head_shares) return super.loadStateDict({ ...dict, head_shares }, options);
    return torch.scope(() =>
      super.loadStateDict({ ...dict, head_shares: torch.zerosLike(headShares) }, options),
    );
  }

  override forward(inputs: readonly (Tensor | null)[], options: ForwardOptions = {}): Prediction {
    const { logits, penalty } = predictStreams(this, inputs, everyHead(this.modalities), options);
    return { ...asPrediction(logits), ...(penalty && { penalty }) };
  }

  forwardHeads(
    inputs: readonly (Tensor | null)[],
    heads: readonly Head[],
    options: ForwardOptions = {},
  ): Tensor[] {
    return predictStreams(this, inputs, heads, options).logits;
  }
}

export const linearFusionModel = defineModel({
  name: 'linear-fusion',
  summary: 'a shared encoder whose attention mixes the modalities’ tokens; the paper’s',
  modalities: { least: 2, most: Number.POSITIVE_INFINITY },
  leastSide,
  maskToken: true,
  options: z.object({
    backbone: z.enum(backboneNames).default('mit-b2').describe('The encoder, small to large.'),
    maskTokenStd: z
      .number()
      .nonnegative()
      .max(1000)
      .optional()
      .describe(
        'Standard deviation of the mask token’s initial values. Absent: 0.02 from scratch, 1 from trained weights and with `framework.fidelity: paper`.',
      ),
    fusionRatio: z
      .number()
      .min(0)
      .max(1)
      .default(0.8)
      .describe(
        'r of linear fusion: the share of a modality’s own tokens; the rest comes from the others.',
      ),
    ensemble: z
      .enum(ENSEMBLES)
      .default('evidence')
      .describe(
        'Whose heads the ensemble weighs, and how: `evidence`, of the modalities that a sample has, for what each says beyond what it always says; `present`, these as they say it; `all`, as the paper does and `framework.fidelity: paper` has it.',
      ),
    dropPath: z
      .number()
      .min(0)
      .max(1)
      .default(0.1)
      .describe('Highest drop-path rate of the encoder.'),
    dropout: z.number().min(0).max(1).default(0.1).describe('The heads’ dropout.'),
  }),
  paperOptions: { ensemble: 'all' },
  create: (options: LinearFusionOptions) => new LinearFusion(options),
});

/**
 * The forward pass of Linear Fusion, and of every model that differs in its fusion alone (with one
 * modality: SegFormer).
 * @param inputs M × [B,3,H,W]; null: missing
 * @returns the logits of the heads asked for, [B,K,H,W] or at a quarter of that
 */
export function predictStreams(
  model: StreamedModel,
  inputs: readonly (Tensor | null)[],
  heads: readonly Head[],
  options: ForwardOptions,
): { logits: Tensor[]; penalty?: Tensor } {
  checkArguments(
    'predictStreams',
    { model, inputs, heads, options },
    {
      model: streamedModelShape,
      inputs: is.listOf(is.orNull(is.tensor)),
      heads: is.listOf(is.either(is.finite, is.text)),
      options: is.record,
    },
  );

  const { encoder, decoder, modalities: M, precision } = model;
  const { height, width } = checkInputs(inputs, M, options, model);
  const votes = votesOf(inputs, options, model.ensemble);
  const streams = streamsOf(heads, M, votes); // the modalities whose predictions are read, S of them
  const compute = () => {
    // The mask token stands for the tokens of what is missing (section 4); the blocks fuse (2).
    const { maskToken } = encoder.patchEmbed1;
    const { features, penalty } = encoder.forward(() =>
      embedWithMaskToken(inputs, options, maskToken, (images, present) =>
        encoder.patchEmbed1.forward(images, present),
      ),
    );
    // The same head for each modality's features, by themselves (section 3).
    const read = features.map((feature) => selectStreams(feature, streams, M));
    return { predictions: decoder.forward(read), penalty }; // [S·B, K, H/4, W/4]
  };
  const { device } = inputs.find((input) => input !== null)!;
  const { predictions, penalty } =
    precision === 'float32' ? compute() : torch.autocast({ dtype: precision, device }, compute);

  const wide = precision === 'float32' ? predictions : predictions.to('float32');
  if (model.training && model.headShares && streams.length === M) {
    rememberShares(model.headShares, votersOf(wide, streams, votes), votes);
  }
  const size: [number, number] | null = options.upsample === false ? null : [height, width];
  return { logits: logitsOf(wide, { heads, streams, votes, size, model }), penalty };
}
