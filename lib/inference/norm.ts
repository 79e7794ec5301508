import { type ModalityNorm, type Normalised, weightAndBias } from '../models/modality-norm.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import type { Constants } from './constants.js';

/** A {@link ModalityNorm} whose weights are stacked once. */
export class PreparedNorm {
  readonly #weight: Tensor; // [M, C]
  readonly #bias: Tensor;
  readonly #eps: number;

  constructor(norm: ModalityNorm, constants: Constants) {
    this.#eps = norm.eps;
    this.#weight = constants.make(() => weightAndBias(norm.norms)[0]);
    this.#bias = constants.make(() => weightAndBias(norm.norms)[1]);
  }

  /** Tokens [S·B, N, C] of the modalities `streams`, normalised. */
  forward(tokens: Tensor, streams: readonly number[]): Tensor {
    const [weight, bias] = this.#of(streams);
    const { modality_norm } = torch.ops.m3l!;
    return modality_norm!(tokens, weight, bias, streams.length, this.#eps) as Tensor;
  }

  /** x + fuse(branch), and that normalised; r = `ratio`. All [S·B, N, C]. */
  afterAdding(x: Tensor, branch: Tensor, streams: readonly number[], ratio = 1): Normalised {
    const [weight, bias] = this.#of(streams);
    const { fuse_residual_norm } = torch.ops.m3l!;
    const fused = fuse_residual_norm!(
      x,
      branch,
      null,
      weight,
      bias,
      streams.length,
      ratio,
      this.#eps,
    ) as Tensor[];
    return [fused[0]!, fused[1]!];
  }

  #of(streams: readonly number[]): [weight: Tensor, bias: Tensor] {
    if (streams.length === this.#weight.shape[0]) return [this.#weight, this.#bias];
    return [rows(this.#weight, streams), rows(this.#bias, streams)];
  }
}

function rows(stacked: Tensor, indices: readonly number[]): Tensor {
  return torch.stack(indices.map((index) => stacked.select(0, index)));
}
