/** The encoder and decoder of Vaswani et al. (2017); sequences are [L,B,E], or [B,L,E] with `batchFirst`. */
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { requireFunction, withDefaults } from '../torch/require.js';
import { requireCounts } from './check.js';
import { ModuleList } from './container.js';
import { xavierUniform_ } from './init.js';
import type { Given } from './layer.js';
import { Module, requireModule } from './module.js';
import { LayerNorm } from './norm.js';
import { holdsNoState } from './private-fields.js';
import {
  DECODER,
  type DecoderMasks,
  type EncoderMasks,
  LAYER,
  type LayerOptions,
  TransformerDecoderLayer,
  TransformerEncoderLayer,
} from './transformer-layer.js';
import { signature } from './tree.js';

/** What goes over the sum at last, such as a LayerNorm. */
interface Norm extends Module {
  forward(x: Tensor): Tensor;
}

interface StackOptions {
  /** Over what the last layer gives; null: nothing. */
  norm: Norm | null;
}

/** Layers made one by one: the same ones as copies would train as one. */
function stacked<Layer extends Module>(
  where: string,
  make: (index: number) => Layer,
  count: number,
): ModuleList<Layer> {
  requireFunction(make, `${where}, a function that makes its layers`);
  requireCounts(where, { numLayers: count }, 0);
  return new ModuleList(Array.from({ length: count }, (_, index) => make(index)));
}

function normOf(where: string, options: Given<StackOptions>): Norm | null {
  const defaults: StackOptions = { norm: null };
  const { norm } = withDefaults(where, defaults, options);
  if (norm !== null) requireModule(norm, `${where}: norm`);
  return norm;
}

/** What `TransformerEncoder.forward` takes by name. */
export interface EncoderOptions {
  /** [L,L] or [B·heads,L,L]. */
  mask: Tensor | null;
  /** [B,L]. */
  srcKeyPaddingMask: Tensor | null;
  isCausal: boolean;
}

/** Encoder layers one after another: [L,B,E] -> [L,B,E]. */
export class TransformerEncoder extends Module {
  readonly layers: ModuleList<TransformerEncoderLayer>;
  readonly norm: Norm | null;

  /**
   * @param make makes a layer. (PyTorch copies one layer, whose values all layers then start from.)
   */
  constructor(
    make: (index: number) => TransformerEncoderLayer,
    readonly numLayers: number,
    options: Given<StackOptions> = {},
  ) {
    super();
    this.layers = stacked('TransformerEncoder', make, numLayers);
    this.norm = normOf('TransformerEncoder', options);
  }

  override forward(src: Tensor, options: Given<EncoderOptions> = {}): Tensor {
    const defaults: EncoderOptions = { mask: null, srcKeyPaddingMask: null, isCausal: false };
    const known = withDefaults('TransformerEncoder.forward', defaults, options);
    const { mask: srcMask, ...others } = known;
    let x = src;
    for (const layer of this.layers) x = layer.forward(x, { srcMask, ...others });
    return this.norm ? this.norm.forward(x) : x;
  }
}

/** Decoder layers one after another: targets [T,B,E] and memory [S,B,E] -> [T,B,E]. */
export class TransformerDecoder extends Module {
  readonly layers: ModuleList<TransformerDecoderLayer>;
  readonly norm: Norm | null;

  /** @param make makes a layer; see {@link TransformerEncoder}. */
  constructor(
    make: (index: number) => TransformerDecoderLayer,
    readonly numLayers: number,
    options: Given<StackOptions> = {},
  ) {
    super();
    this.layers = stacked('TransformerDecoder', make, numLayers);
    this.norm = normOf('TransformerDecoder', options);
  }

  override forward(tgt: Tensor, memory: Tensor, options: Given<DecoderMasks> = {}): Tensor {
    let x = tgt;
    for (const layer of this.layers) x = layer.forward(x, memory, options);
    return this.norm ? this.norm.forward(x) : x;
  }
}

interface Options extends LayerOptions {
  numEncoderLayers: number;
  numDecoderLayers: number;
}
const DEFAULTS: Options = { ...LAYER, numEncoderLayers: 6, numDecoderLayers: 6 };

/** What `Transformer.forward` takes by name. */
export interface TransformerMasks extends EncoderMasks, DecoderMasks {
  srcIsCausal: boolean;
}
const MASKS: Omit<TransformerMasks, 'isCausal'> = {
  srcMask: null,
  srcKeyPaddingMask: null,
  srcIsCausal: false,
  ...DECODER,
};

/** Encoder and decoder: sources [S,B,E] and targets [T,B,E] -> [T,B,E]. */
export class Transformer extends Module {
  static {
    holdsNoState(Transformer);
  }

  readonly encoder: TransformerEncoder;
  readonly decoder: TransformerDecoder;
  readonly #options: Options;

  constructor(
    readonly dModel = 512,
    readonly nhead = 8,
    options: Given<Options> = {},
  ) {
    super();
    this.#options = withDefaults('Transformer', DEFAULTS, options);
    requireCounts('Transformer', { dModel, nhead });
    const { numEncoderLayers, numDecoderLayers, ...layer } = this.#options;
    const norm = () => new LayerNorm(dModel, { eps: layer.layerNormEps, bias: layer.bias });
    const encoding = () => new TransformerEncoderLayer(dModel, nhead, layer);
    const decoding = () => new TransformerDecoderLayer(dModel, nhead, layer);
    this.encoder = new TransformerEncoder(encoding, numEncoderLayers, { norm: norm() });
    this.decoder = new TransformerDecoder(decoding, numDecoderLayers, { norm: norm() });
    for (const weight of this.parameters()) if (weight.ndim > 1) xavierUniform_(weight);
  }

  /** [size, size], 0 for what a position may see, -∞ for what comes after it. */
  static generateSquareSubsequentMask(
    size: number,
    options: { dtype?: torch.DType; device?: string } = {},
  ): Tensor {
    requireCounts('generateSquareSubsequentMask', { size }, 0);
    return torch.full([size, size], Number.NEGATIVE_INFINITY, options).triu(1);
  }

  override forward(src: Tensor, tgt: Tensor, options: Given<typeof MASKS> = {}): Tensor {
    const known = withDefaults('Transformer.forward', MASKS, options);
    const { srcMask: mask, srcKeyPaddingMask, srcIsCausal: isCausal, ...others } = known;
    const memory = this.encoder.forward(src, { mask, srcKeyPaddingMask, isCausal });
    return this.decoder.forward(tgt, memory, others);
  }

  protected override details(): string {
    return signature([this.dModel, this.nhead], this.#options, DEFAULTS);
  }
}
