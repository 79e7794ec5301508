import { type ModalityNorm, type NormWeights, normalise } from '../models/modality-norm.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import type { Constants } from './constants.js';

/** A {@link ModalityNorm} whose weights are stacked once. */
export class PreparedNorm {
  /** Of all M modalities. */
  readonly #all: NormWeights;

  constructor(norm: ModalityNorm, constants: Constants) {
    this.#all = {
      weight: constants.make(() => norm.weights().weight),
      bias: constants.make(() => norm.weights().bias),
      eps: norm.eps,
    };
  }

  /** Tokens [S·B, N, C] of the modalities `streams`, normalised. */
  forward(tokens: Tensor, streams: readonly number[]): Tensor {
    return normalise(tokens, this.weights(streams));
  }

  /** Stacked, of the modalities `streams`. */
  weights(streams: readonly number[]): NormWeights {
    const { weight, bias, eps } = this.#all;
    if (streams.length === weight.shape[0]) return this.#all;
    return { weight: rows(weight, streams), bias: rows(bias, streams), eps };
  }
}

function rows(stacked: Tensor, indices: readonly number[]): Tensor {
  return torch.stack(indices.map((index) => stacked.select(0, index)));
}
