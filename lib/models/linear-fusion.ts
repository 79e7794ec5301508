import { z } from 'zod';
import { checkArguments } from '../torch/check-arguments.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { defineModel } from './descriptor.js';
import { type Fused, Fusion, type ResidualSum } from './fusion.js';
import { FusionModel, type FusionModelOptions } from './fusion-model.js';
import { leastSide, MixTransformer } from './mit.js';
import { dropout, ensemble, maskTokenStd, mitKeys } from './option-keys.js';
import { linearFusionOptionsShape } from './rules.js';

/** For M ≥ 2 modalities. */
export interface LinearFusionOptions extends FusionModelOptions {
  /** r: the share of a modality's own tokens in the fusion. */
  fusionRatio?: number;
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
 */
export class LinearFusion extends FusionModel {
  constructor(options: LinearFusionOptions) {
    checkArguments('LinearFusion', { options }, { options: linearFusionOptionsShape });
    const { fusionRatio = 0.8 } = options;
    super('linear-fusion', options, (encoder) => {
      return new MixTransformer({ ...encoder, fusion: () => new LinearFuse(fusionRatio) });
    });
  }
}

const { backbone, dropPath } = mitKeys;

export const linearFusionModel = defineModel({
  name: 'linear-fusion',
  summary: 'a shared encoder whose attention mixes the modalities’ tokens; the paper’s',
  modalities: { least: 2, most: Number.POSITIVE_INFINITY },
  leastSide,
  maskToken: true,
  options: z.object({
    backbone,
    maskTokenStd,
    fusionRatio: z
      .number()
      .min(0)
      .max(1)
      .default(0.8)
      .describe(
        'r of linear fusion: the share of a modality’s own tokens; the rest comes from the others.',
      ),
    ensemble,
    dropPath,
    dropout: dropout(0.1),
  }),
  paperOptions: { ensemble: 'all' },
  create: (options: LinearFusionOptions) => new LinearFusion(options),
});
