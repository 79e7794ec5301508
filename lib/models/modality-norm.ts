import * as nn from '../nn/index.js';
import { checkArguments } from '../torch/check-arguments.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import type { Fused, ResidualSum } from './fusion.js';
import { residualSumShape } from './rules.js';

export interface ModalityNormOptions {
  /** M; 1 by default. */
  modalities?: number;
  /** 1e-6 by default. */
  layerNormEps?: number;
}

/** The LayerNorms of M modalities as kernels take them. */
export interface NormWeights {
  /** [M, C] */
  weight: Tensor;
  /** [M, C] */
  bias: Tensor;
  eps: number;
}

/** One LayerNorm per modality, in the state dict `ln_0`, `ln_1`, … */
export class ModalityNorm extends nn.ModuleDict<nn.LayerNorm> {
  readonly eps: number;

  constructor(
    readonly channels: number,
    { modalities = 1, layerNormEps: eps = 1e-6 }: ModalityNormOptions,
  ) {
    const norms = Array.from({ length: modalities }, () => new nn.LayerNorm(channels, { eps }));
    super(Object.fromEntries(norms.map((norm, m) => [`ln_${m}`, norm])));
    this.eps = eps;
  }

  /** By modality. */
  get norms(): nn.LayerNorm[] {
    return this.values();
  }

  /** @param present which modalities the batch [P·B, N, C] holds; all by default. */
  override forward(tokens: Tensor, present?: readonly number[]): Tensor {
    return normalise(tokens, this.weights(present));
  }

  /** Stacked, of the modalities `present`: all by default. */
  weights(present?: readonly number[]): NormWeights {
    const all = this.norms;
    const norms = present ? present.map((m) => all[m]!) : all;
    return {
      weight: torch.stack(norms.map(({ weight }) => weight!)),
      bias: torch.stack(norms.map(({ bias }) => bias!)),
      eps: this.eps,
    };
  }
}

/** LayerNorm_m(x_m) of the tokens [M·B, N, C], modality by modality. */
export function normalise(tokens: Tensor, { weight, bias, eps }: NormWeights): Tensor {
  return torch.ops.m3l!.modality_norm!(tokens, weight, bias, weight.shape[0]!, eps) as Tensor;
}

/** x1 = x0 + factors · branch, and LayerNorm_m(x1_m), in one pass over the tokens. */
export function addAndNormalise(options: ResidualSum): Fused {
  checkArguments('addAndNormalise', { options }, { options: residualSumShape });
  const { x0, branch, factors, norm } = options;

  const { weight, bias, eps } = norm;
  const { fuse_residual_norm } = torch.ops.m3l!;
  // Fused with r = 1: of each modality its own.
  const [tokens, normal] = fuse_residual_norm!(
    x0,
    branch,
    factors,
    weight,
    bias,
    weight.shape[0]!,
    1,
    eps,
  ) as [Tensor, Tensor];
  return { tokens, normal };
}
