import type * as nn from '../nn/index.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { Choice } from './choice.js';
import type { Constants } from './constants.js';

/** oneDNN's operators for weights in its own blocked layout; absent in builds without it. */
const prepackedOperators = [
  '_linear_pointwise',
  '_reorder_linear_weight',
  '_convolution_pointwise',
  '_reorder_convolution_weight',
] as const;

type Operators = NonNullable<(typeof torch.ops)[string]>;

let operators: Operators | null | undefined;

/** The operators where this libtorch has them and `weight` is of a kind that they take. */
function prepackers(weight: Tensor): Operators | null {
  if (weight.device !== 'cpu' || !['float32', 'bfloat16'].includes(weight.dtype)) return null;
  if (operators === undefined) {
    try {
      const { mkldnn } = torch.ops;
      for (const name of prepackedOperators) mkldnn![name];
      operators = mkldnn!;
    } catch {
      operators = null;
    }
  }
  return operators;
}

/** The ways of a product by its dtype and shape, in the whole process. */
const choices = new Map<string, Choice>();

function choiceFor(key: string): Choice {
  const choice = choices.get(key) ?? new Choice();
  choices.set(key, choice);
  return choice;
}

/**
 * A Linear with constant weights, in the way that is the faster for the shape of its input: oneDNN on
 * weights in its own layout, or libtorch's `linear` (MKL, which takes its slower AVX2 path on
 * processors that are not Intel's). See {@link Choice}; without measuring always the former.
 */
export class PackedLinear {
  readonly #weight: Tensor;
  readonly #bias: Tensor | null;
  readonly #constants: Constants;
  readonly #prepackers: Operators | null;
  #packed: Tensor | null = null;

  /** @param weight [out, in]; like `bias` it must live as long as `constants`. */
  constructor(weight: Tensor, bias: Tensor | null, constants: Constants) {
    this.#weight = weight;
    this.#bias = bias;
    this.#constants = constants;
    this.#prepackers = prepackers(weight);
  }

  /** [..., in] -> [..., out]. */
  forward(x: Tensor): Tensor {
    const prepacker = this.#prepackers;
    if (!prepacker) return torch.linear(x, this.#weight, this.#bias);
    const rows = x.shape.slice(0, -1).reduce((product, side) => product * side, 1);
    const packed = (weight: Tensor) =>
      prepacker._linear_pointwise!(x, weight, this.#bias, 'none', [], '') as Tensor;
    if (!this.#constants.measure) return packed(this.#pack(prepacker, rows));
    const [out, into] = this.#weight.shape;
    return choiceFor(`${this.#weight.dtype} ${rows}×${into}×${out}`).run(
      () => this.#pack(prepacker, rows),
      packed,
      () => torch.linear(x, this.#weight, this.#bias),
    );
  }

  /** For an input of this many rows; with another number oneDNN may repack for the call. */
  #pack(prepacker: Operators, rows: number): Tensor {
    this.#packed ??= this.#constants.make(
      () => prepacker._reorder_linear_weight!(this.#weight.detach(), rows) as Tensor,
    );
    return this.#packed;
  }
}

/** A convolution with constant weights, of images in channels-last format: oneDNN's, prepacked. */
export class PackedConv {
  readonly #conv: nn.Conv2d;
  readonly #constants: Constants;
  readonly #prepackers: Operators | null;
  #packed: Tensor | null = null;

  constructor(conv: nn.Conv2d, constants: Constants) {
    this.#conv = conv;
    this.#constants = constants;
    this.#prepackers = prepackers(conv.weight);
  }

  /** [B, in, H, W] -> [B, out, H', W'] */
  forward(x: Tensor): Tensor {
    const { weight, bias, stride, padding, dilation, groups, paddingMode } = this.#conv;
    const prepacker = this.#prepackers;
    if (!prepacker || typeof padding === 'string' || paddingMode !== 'zeros') {
      return this.#conv.forward(x);
    }
    this.#packed ??= this.#constants.make(
      () =>
        prepacker._reorder_convolution_weight!(
          weight.detach(),
          padding,
          stride,
          dilation,
          groups,
          x.shape,
        ) as Tensor,
    );
    return prepacker._convolution_pointwise!(
      x,
      this.#packed,
      bias,
      padding,
      stride,
      dilation,
      groups,
      'none',
      [],
      '',
    ) as Tensor;
  }
}
