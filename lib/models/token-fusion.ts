import { z } from 'zod';
import * as nn from '../nn/index.js';
import { checkArguments } from '../torch/check-arguments.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { defineModel } from './descriptor.js';
import { type Fused, Fusion, type ResidualSum } from './fusion.js';
import { FusionModel, type FusionModelOptions } from './fusion-model.js';
import { backboneNamed, leastSide, MixTransformer, type MixTransformerOptions } from './mit.js';
import { addAndNormalise } from './modality-norm.js';
import { dropout, ensemble, l1Lambda, maskTokenStd, mitKeys } from './option-keys.js';
import { modelInputShape } from './rules.js';
import { othersOf } from './streams.js';

/** For M ≥ 2 modalities. */
export interface TokenFusionOptions extends FusionModelOptions {
  /** Tokens of a lower score give way to the other modalities'; 0.02 by default. */
  scoreThreshold?: number;
  /** Weight of the scores' L1 in the loss; 1e-4 by default. */
  l1Lambda?: number;
}

/** What scores tokens at one stage: a net for each modality, which all blocks of the stage share. */
export class ScorePredictor extends nn.Module {
  readonly scoreNets: nn.ModuleList<nn.Sequential>;

  constructor(
    channels: number,
    readonly modalities: number,
  ) {
    super();
    const [half, quarter] = [channels / 2, channels / 4];
    const createNet = () =>
      new nn.Sequential(
        new nn.LayerNorm(channels),
        new nn.Linear(channels, channels),
        new nn.GELU(),
        new nn.Linear(channels, half),
        new nn.GELU(),
        new nn.Linear(half, quarter),
        new nn.GELU(),
        new nn.Linear(quarter, 2),
      );
    this.scoreNets = new nn.ModuleList(Array.from({ length: modalities }, createNet));
  }

  /** How much each token is to be kept, in [0, 1]: [M·B, N, C] to [M·B, N, 1]. */
  override forward(tokens: Tensor): Tensor {
    const streams = tokens.chunk(this.modalities, 0);
    const logits = streams.map((stream, m) => this.scoreNets.at(m).forward(stream));
    return torch.cat(logits, 0).softmax(-1).narrow(-1, 0, 1);
  }
}

/**
 * Token fusion: with s_m the scores of the tokens as they enter the block, and x_m what its attention
 * gives,
 *
 *     z_m = s_m · x_m
 *     y_m = z_m where s_m ≥ threshold, elsewhere 1/(M − 1) · Σ_{j≠m} z_j
 *
 * (M = 2: the other modality's, as the authors have it.) The loss gains l1Lambda · Σ s / B.
 */
export class TokenFuse extends Fusion {
  readonly #predictor: ScorePredictor;

  /** @param predictor of the block's stage */
  constructor(
    predictor: ScorePredictor,
    readonly scoreThreshold: number,
    readonly l1Lambda: number,
  ) {
    super();
    this.#predictor = predictor;
  }

  override forward(sum: ResidualSum): Fused {
    const { modalities } = this.#predictor;
    const scores_RN1 = this.#predictor.forward(sum.x0);
    const kept_RNC = sum.branch.mul(scores_RN1);
    const isLow_RN1 = scores_RN1.lt(this.scoreThreshold);
    const branch = torch.where(isLow_RN1, othersOf(kept_RNC, modalities), kept_RNC);
    const batch = scores_RN1.shape[0]! / modalities;
    const penalty = scores_RN1
      .to('float32')
      .sum()
      .mul(this.l1Lambda / batch);
    return { ...addAndNormalise({ ...sum, branch }), penalty };
  }
}

/** The encoder, which owns the score nets of its blocks' fusions. */
class TokenFusionEncoder extends MixTransformer {
  readonly scorePredictor: nn.ModuleList<ScorePredictor>;

  constructor(
    options: MixTransformerOptions & { modalities: number },
    fuse: (predictor: ScorePredictor) => TokenFuse,
  ) {
    const { channels } = backboneNamed(options.backbone);
    const predictors = channels.map((width) => new ScorePredictor(width, options.modalities));
    super({ ...options, fusion: ({ stage }) => fuse(predictors[stage]!) });
    this.scorePredictor = new nn.ModuleList(predictors);
  }
}

/**
 * TokenFusion (Wang et al., Multimodal Token Fusion for Vision Transformers, 2022) on the encoder and
 * head of Linear Fusion, as the authors of M3L compare with it: tokens that a modality has no use for
 * give way to those of the others at the same place.
 */
export class TokenFusion extends FusionModel {
  declare readonly encoder: TokenFusionEncoder;

  constructor(options: TokenFusionOptions) {
    checkArguments('TokenFusion', { options }, { options: modelInputShape });
    const { scoreThreshold = 0.02, l1Lambda = 1e-4 } = options;
    super('token-fusion', options, (encoder) => {
      return new TokenFusionEncoder(encoder, (predictor) => {
        return new TokenFuse(predictor, scoreThreshold, l1Lambda);
      });
    });
  }
}

export const tokenFusionModel = defineModel({
  name: 'token-fusion',
  summary: 'tokens of a low score give way to those of the other modalities',
  modalities: { least: 2, most: Number.POSITIVE_INFINITY },
  leastSide,
  maskToken: true,
  options: z.object({
    backbone: mitKeys.backbone,
    maskTokenStd,
    scoreThreshold: z
      .number()
      .min(0)
      .max(1)
      .default(0.02)
      .describe('Tokens of a lower score are replaced by those of the other modalities.'),
    l1Lambda: l1Lambda(1e-4),
    ensemble,
    dropPath: mitKeys.dropPath,
    dropout: dropout(0.1),
  }),
  paperOptions: { ensemble: 'all' },
  create: (options: TokenFusionOptions) => new TokenFusion(options),
});
