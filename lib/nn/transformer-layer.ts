import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { requireFunction, withDefaults } from '../torch/require.js';
import { MultiheadAttention } from './attention.js';
import { requireChoice, requireCounts } from './check.js';
import { Dropout } from './dropout.js';
import type { Given } from './layer.js';
import { Linear } from './linear.js';
import { Module } from './module.js';
import { LayerNorm } from './norm.js';
import { holdsNoState } from './private-fields.js';
import { signature } from './tree.js';

export interface LayerOptions {
  /** Of the hidden layer between the two Linears. */
  dimFeedforward: number;
  dropout: number;
  activation: 'relu' | 'gelu' | ((x: Tensor) => Tensor);
  layerNormEps: number;
  /** Sequences as [B,L,E] instead of [L,B,E]. */
  batchFirst: boolean;
  /** Norms before attention and feed-forward, instead of after the sums. */
  normFirst: boolean;
  bias: boolean;
}
export const LAYER: LayerOptions = {
  dimFeedforward: 2048,
  dropout: 0.1,
  activation: 'relu',
  layerNormEps: 1e-5,
  batchFirst: false,
  normFirst: false,
  bias: true,
};

/** Masks are those of {@link MultiheadAttention}: true, or -∞, for what to leave out. */
export interface EncoderMasks {
  srcMask: Tensor | null;
  srcKeyPaddingMask: Tensor | null;
  isCausal: boolean;
}
const ENCODER: EncoderMasks = { srcMask: null, srcKeyPaddingMask: null, isCausal: false };

/** Masks are those of {@link MultiheadAttention}: true, or -∞, for what to leave out. */
export interface DecoderMasks {
  tgtMask: Tensor | null;
  tgtKeyPaddingMask: Tensor | null;
  tgtIsCausal: boolean;
  memoryMask: Tensor | null;
  memoryKeyPaddingMask: Tensor | null;
  memoryIsCausal: boolean;
}
export const DECODER: DecoderMasks = {
  tgtMask: null,
  tgtKeyPaddingMask: null,
  tgtIsCausal: false,
  memoryMask: null,
  memoryKeyPaddingMask: null,
  memoryIsCausal: false,
};

type Activation = (x: Tensor) => Tensor;

function activationOf(where: string, activation: LayerOptions['activation']): Activation {
  if (typeof activation === 'function') {
    requireFunction(activation, `${where}: activation`);
    return activation;
  }
  requireChoice(where, 'activation', activation, ['relu', 'gelu']);
  return activation === 'relu' ? (x) => torch.relu(x) : (x) => torch.gelu(x);
}

interface Masks {
  attnMask: Tensor | null;
  keyPaddingMask: Tensor | null;
  isCausal: boolean;
}

/** What encoder and decoder layers share: x + part(x), normed before or after. */
abstract class TransformerLayer extends Module {
  static {
    holdsNoState(TransformerLayer);
  }

  readonly #options: LayerOptions;
  readonly #activation: Activation;

  constructor(
    readonly dModel: number,
    readonly nhead: number,
    options: Given<LayerOptions>,
  ) {
    super();
    this.#options = withDefaults(new.target.name, LAYER, options);
    this.#activation = activationOf(new.target.name, this.#options.activation);
    requireCounts(new.target.name, { dimFeedforward: this.#options.dimFeedforward });
  }

  protected attention(): MultiheadAttention {
    const { dropout, batchFirst, bias } = this.#options;
    return new MultiheadAttention(this.dModel, this.nhead, { dropout, batchFirst, bias });
  }

  protected linears(): [Linear, Linear] {
    const { dimFeedforward, bias } = this.#options;
    const { dModel } = this;
    return [
      new Linear(dModel, dimFeedforward, { bias }),
      new Linear(dimFeedforward, dModel, { bias }),
    ];
  }

  protected norm(): LayerNorm {
    const { layerNormEps: eps, bias } = this.#options;
    return new LayerNorm(this.dModel, { eps, bias });
  }

  protected dropoutLayer(): Dropout {
    return new Dropout(this.#options.dropout);
  }

  protected residual(x: Tensor, norm: LayerNorm, part: (x: Tensor) => Tensor): Tensor {
    return this.#options.normFirst ? x.add(part(norm.forward(x))) : norm.forward(x.add(part(x)));
  }

  protected activate(x: Tensor): Tensor {
    return this.#activation(x);
  }

  protected override details(): string {
    return signature([this.dModel, this.nhead], this.#options, LAYER);
  }
}

function attended(attention: MultiheadAttention, x: Tensor, memory: Tensor, masks: Masks): Tensor {
  return attention.forward(x, memory, memory, { ...masks, needWeights: false })[0];
}

/** Self-attention and a feed-forward network: [L,B,E] -> [L,B,E]. */
export class TransformerEncoderLayer extends TransformerLayer {
  readonly selfAttn: MultiheadAttention;
  readonly linear1: Linear;
  readonly dropout: Dropout;
  readonly linear2: Linear;
  readonly norm1: LayerNorm;
  readonly norm2: LayerNorm;
  readonly dropout1: Dropout;
  readonly dropout2: Dropout;

  constructor(dModel: number, nhead: number, options: Given<LayerOptions> = {}) {
    super(dModel, nhead, options);
    this.selfAttn = this.attention();
    [this.linear1, this.linear2] = this.linears();
    this.dropout = this.dropoutLayer();
    this.norm1 = this.norm();
    this.norm2 = this.norm();
    this.dropout1 = this.dropoutLayer();
    this.dropout2 = this.dropoutLayer();
  }

  override forward(src: Tensor, options: Given<EncoderMasks> = {}): Tensor {
    const known = withDefaults('TransformerEncoderLayer.forward', ENCODER, options);
    const { srcMask: attnMask, srcKeyPaddingMask: keyPaddingMask, isCausal } = known;
    const masks = { attnMask, keyPaddingMask, isCausal };
    const x = this.residual(src, this.norm1, (y) =>
      this.dropout1.forward(attended(this.selfAttn, y, y, masks)),
    );
    return this.residual(x, this.norm2, (y) => this.dropout2.forward(this.#feedForward(y)));
  }

  #feedForward(x: Tensor): Tensor {
    const hidden = this.activate(this.linear1.forward(x));
    return this.linear2.forward(this.dropout.forward(hidden));
  }
}

/** Self-attention, attention to a memory, and a feed-forward network: [T,B,E] -> [T,B,E]. */
export class TransformerDecoderLayer extends TransformerLayer {
  readonly selfAttn: MultiheadAttention;
  readonly multiheadAttn: MultiheadAttention;
  readonly linear1: Linear;
  readonly dropout: Dropout;
  readonly linear2: Linear;
  readonly norm1: LayerNorm;
  readonly norm2: LayerNorm;
  readonly norm3: LayerNorm;
  readonly dropout1: Dropout;
  readonly dropout2: Dropout;
  readonly dropout3: Dropout;

  constructor(dModel: number, nhead: number, options: Given<LayerOptions> = {}) {
    super(dModel, nhead, options);
    this.selfAttn = this.attention();
    this.multiheadAttn = this.attention();
    [this.linear1, this.linear2] = this.linears();
    this.dropout = this.dropoutLayer();
    this.norm1 = this.norm();
    this.norm2 = this.norm();
    this.norm3 = this.norm();
    this.dropout1 = this.dropoutLayer();
    this.dropout2 = this.dropoutLayer();
    this.dropout3 = this.dropoutLayer();
  }

  override forward(tgt: Tensor, memory: Tensor, options: Given<DecoderMasks> = {}): Tensor {
    const known = withDefaults('TransformerDecoderLayer.forward', DECODER, options);
    const own = {
      attnMask: known.tgtMask,
      keyPaddingMask: known.tgtKeyPaddingMask,
      isCausal: known.tgtIsCausal,
    };
    const others = {
      attnMask: known.memoryMask,
      keyPaddingMask: known.memoryKeyPaddingMask,
      isCausal: known.memoryIsCausal,
    };
    const x = this.residual(tgt, this.norm1, (y) =>
      this.dropout1.forward(attended(this.selfAttn, y, y, own)),
    );
    const z = this.residual(x, this.norm2, (y) =>
      this.dropout2.forward(attended(this.multiheadAttn, y, memory, others)),
    );
    return this.residual(z, this.norm3, (y) => this.dropout3.forward(this.#feedForward(y)));
  }

  #feedForward(x: Tensor): Tensor {
    const hidden = this.activate(this.linear1.forward(x));
    return this.linear2.forward(this.dropout.forward(hidden));
  }
}
