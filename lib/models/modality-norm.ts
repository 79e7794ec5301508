import * as nn from '../nn/index.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';

export interface ModalityNormOptions {
  /** M; 1 by default. */
  modalities?: number;
  /** 1e-6 by default. */
  layerNormEps?: number;
}

/** How a branch is added to the tokens it came from. */
export interface Addition {
  /** r of the linear fusion of the branch's modalities; 1, by default, fuses nothing. */
  ratio?: number;
  /** Stochastic depth of the branch. */
  dropPath: nn.DropPath;
}

/** Tokens [M·B, N, C], and the same normalised. */
export type Normalised = [tokens: Tensor, normal: Tensor];

/** One LayerNorm per modality, in the state dict `ln_0`, `ln_1`, … */
export class ModalityNorm extends nn.ModuleDict<nn.LayerNorm> {
  readonly norms: nn.LayerNorm[];
  readonly eps: number;

  constructor(
    readonly channels: number,
    { modalities = 1, layerNormEps: eps = 1e-6 }: ModalityNormOptions,
  ) {
    const norms = Array.from({ length: modalities }, () => new nn.LayerNorm(channels, { eps }));
    super(Object.fromEntries(norms.map((norm, m) => [`ln_${m}`, norm])));
    this.norms = norms;
    this.eps = eps;
  }

  /** @param present which modalities the batch [P·B, N, C] holds; all by default. */
  override forward(tokens: Tensor, present?: readonly number[]): Tensor {
    const norms = present ? present.map((m) => this.norms[m]!) : this.norms;
    return torch.ops.m3l!.modality_norm!(
      tokens,
      ...weightAndBias(norms),
      norms.length,
      this.eps,
    ) as Tensor;
  }

  /** x + dropPath(fuse(branch)), and that normalised: one pass over the tokens [M·B, N, C]. */
  afterAdding(x: Tensor, branch: Tensor, { ratio = 1, dropPath }: Addition): Normalised {
    return torch.ops.m3l!.fuse_residual_norm!(
      x,
      branch,
      dropPath.sampleFactors(x),
      ...weightAndBias(this.norms),
      this.norms.length,
      ratio,
      this.eps,
    ) as Normalised;
  }
}

/** Each [P, C]. */
export function weightAndBias(norms: readonly nn.LayerNorm[]): [weight: Tensor, bias: Tensor] {
  return [
    torch.stack(norms.map(({ weight }) => weight)),
    torch.stack(norms.map(({ bias }) => bias)),
  ];
}
