import { attend } from '../models/attend.js';
import { type Attention, asImage, asTokens, type Feature } from '../models/mit.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import type { Constants } from './constants.js';
import { PreparedNorm } from './norm.js';
import { PackedConv, PackedLinear } from './packed.js';

/** Efficient self-attention up to and with its projection, before what fuses the modalities. */
export interface PreparedAttention {
  /** Normalised tokens [S·B, N, C] of the modalities `streams` -> [S·B, N, C]. */
  forward(feature: Feature, streams: readonly number[]): Tensor;
}

export function prepareAttention(attention: Attention, constants: Constants): PreparedAttention {
  return attention.heads === 1
    ? new OneHead(attention, constants)
    : new ManyHeads(attention, constants);
}

/** Keys' and values' tokens: those of the feature, reduced by a strided convolution where there is one. */
class Reduction {
  readonly #conv: PackedConv | null;
  readonly #norm: PreparedNorm | null;

  constructor({ sr, norm }: Attention, constants: Constants) {
    this.#conv = sr && new PackedConv(sr.module, constants);
    this.#norm = norm && new PreparedNorm(norm, constants);
  }

  forward(feature: Feature, streams: readonly number[]): Tensor {
    if (!this.#conv || !this.#norm) return feature.tokens;
    const { tokens } = asTokens(this.#conv.forward(asImage(feature)));
    return this.#norm.forward(tokens, streams);
  }
}

/** One product for the queries (where nothing is reduced: for keys and values too). */
class ManyHeads implements PreparedAttention {
  readonly #heads: number;
  readonly #reduction: Reduction | null;
  /** q, or q, k and v. */
  readonly #query: PackedLinear;
  readonly #keyValue: PackedLinear | null;
  readonly #proj: PackedLinear;

  constructor(attention: Attention, constants: Constants) {
    const [q, kv, proj] = [attention.q, attention.kv, attention.proj].map(({ module }) => module);
    const packed = (weight: Tensor, bias: Tensor | null) =>
      new PackedLinear(weight, bias, constants);
    this.#heads = attention.heads;
    this.#proj = packed(proj!.weight, proj!.bias);
    if (attention.sr) {
      this.#reduction = new Reduction(attention, constants);
      this.#query = packed(q!.weight, q!.bias);
      this.#keyValue = packed(kv!.weight, kv!.bias);
    } else {
      this.#reduction = null;
      this.#keyValue = null;
      this.#query = packed(
        constants.make(() => torch.cat([q!.weight, kv!.weight])),
        constants.make(() => torch.cat([q!.bias!, kv!.bias!])),
      );
    }
  }

  forward(feature: Feature, streams: readonly number[]): Tensor {
    const queries = this.#query.forward(feature.tokens); // [S·B, N, C], or 3C for all three
    const [q, k, v] = this.#keyValue
      ? [
          ...this.#split(queries, 1),
          ...this.#split(this.#keyValue.forward(this.#reduction!.forward(feature, streams)), 2),
        ]
      : this.#split(queries, 3);
    const attended = attend(q!, k!, v!); // [S·B, heads, N, C / heads]
    return this.#proj.forward(attended.transpose(1, 2).flatten(2));
  }

  /** [S·B, N, parts · C] to as many [S·B, heads, N, C / heads]. */
  #split(tokens: Tensor, parts: number): Tensor[] {
    return tokens.unflatten(2, [parts, this.#heads, -1]).permute([2, 0, 3, 1, 4]).unbind(0);
  }
}

/**
 * With one head the products commute: q·k = (Wq·x + bq)·k = x·(Wqᵀ·k) + bq·k, and what is projected
 * after the weighted sum may be projected before it. Queries and projection thus act on the few
 * reduced tokens and not on all; bq·k is a bias of the scores.
 */
class OneHead implements PreparedAttention {
  readonly #reduction: Reduction;
  /** z -> Wqᵀ·k and the projected v, [2C, C]. */
  readonly #keyValue: PackedLinear;
  /** z -> bq·k, scaled as scores are; what is the same for all keys left out, as softmax does. */
  readonly #scores: Tensor; // [1, C]

  constructor(attention: Attention, constants: Constants) {
    this.#reduction = new Reduction(attention, constants);
    const { weight: kernel } = attention.kv.module;
    const channels = kernel.shape[1]!;
    const double = (tensor: Tensor) => tensor.to('float64');
    const part = (tensor: Tensor, index: number) =>
      double(tensor).narrow(0, index * channels, channels);
    const { weight: query, bias: queryBias } = attention.q.module;
    const { weight: proj, bias: projBias } = attention.proj.module;
    const bias = attention.kv.module.bias!;
    const { dtype } = kernel;
    this.#keyValue = new PackedLinear(
      constants.make(() =>
        torch
          .cat([double(query).t().mm(part(kernel, 0)), double(proj).mm(part(kernel, 1))])
          .to(dtype),
      ),
      constants.make(() =>
        torch
          .cat([
            double(query).t().mv(part(bias, 0)),
            double(proj).mv(part(bias, 1)).add(double(projBias!)),
          ])
          .to(dtype),
      ),
      constants,
    );
    this.#scores = constants.make(() =>
      double(queryBias!)
        .unsqueeze(0)
        .mm(part(kernel, 0))
        .mul(channels ** -0.5)
        .to(dtype),
    );
  }

  forward(feature: Feature, streams: readonly number[]): Tensor {
    const reduced = this.#reduction.forward(feature, streams); // [S·B, N', C]
    const bias = torch.linear(reduced, this.#scores).transpose(1, 2); // [S·B, 1, N']
    // Each [S·B, 1, N', C].
    const [k, v] = this.#keyValue.forward(reduced).unsqueeze(1).chunk(2, 3) as [Tensor, Tensor];
    const q = feature.tokens.unsqueeze(1); // [S·B, 1, N, C]
    return attend(q, k, v, bias).squeeze(1);
  }
}
