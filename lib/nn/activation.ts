import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { requireIntegers, withDefaults } from '../torch/require.js';
import { requireChoice, requireCounts, requireNumbers } from './check.js';
import * as F from './functional/activation.js';
import { layerOf, layerWith, plainLayer } from './layer.js';
import { Module } from './module.js';
import { parameter } from './parameter.js';
import { signature } from './tree.js';

const requireDim = (where: string, dim: number) => requireIntegers({ dim }, where);

/** x·Φ(x): by erf, or with `approximate: 'tanh'` nearly. */
export class GELU extends layerOf(F.gelu, F.GELU_DEFAULTS, (where, { approximate }) =>
  requireChoice(where, 'approximate', approximate, ['none', 'tanh']),
) {}
/** max(x, 0). */
export class ReLU extends plainLayer(F.relu) {}
/** min(max(x, 0), 6). */
export class ReLU6 extends plainLayer(F.relu6) {}
/** x where positive, negativeSlope·x elsewhere. */
export class LeakyReLU extends layerOf(F.leakyRelu, { negativeSlope: 0.01 }) {}
/** x where positive, alpha·(eˣ − 1) elsewhere. */
export class ELU extends layerOf((x, { alpha = 1 }) => F.elu(x, alpha), { alpha: 1 }) {}
/** Scaled {@link ELU} that keeps mean and variance (Klambauer et al., 2017). */
export class SELU extends plainLayer(F.selu) {}
/** x where positive, alpha·(e^(x/alpha) − 1) elsewhere. */
export class CELU extends layerOf(F.celu, { alpha: 1 }) {}
/** x·sigmoid(x). */
export class SiLU extends plainLayer(F.silu) {}
/** x·tanh(softplus(x)). */
export class Mish extends plainLayer(F.mish) {}
/** 1 / (1 + e^−x). */
export class Sigmoid extends plainLayer(F.sigmoid) {}
/** log(1 / (1 + e^−x)). */
export class LogSigmoid extends plainLayer(F.logsigmoid) {}
/** tanh(x). */
export class Tanh extends plainLayer(F.tanh) {}
/** x − tanh(x). */
export class Tanhshrink extends plainLayer(F.tanhshrink) {}
/** log(1 + e^(beta·x)) / beta; x itself where beta·x is above the threshold. */
export class Softplus extends layerOf(F.softplus, { beta: 1, threshold: 20 }) {}
/** x / (1 + |x|). */
export class Softsign extends plainLayer(F.softsign) {}
/** x cut to [minVal, maxVal]. */
export class Hardtanh extends layerOf(F.hardtanh, { minVal: -1, maxVal: 1 }) {}
/** x·min(max(x + 3, 0), 6) / 6. */
export class Hardswish extends plainLayer(F.hardswish) {}
/** min(max(x + 3, 0), 6) / 6. */
export class Hardsigmoid extends plainLayer(F.hardsigmoid) {}
/** x, but 0 within [-lambd, lambd]. */
export class Hardshrink extends layerOf(F.hardshrink, { lambd: 0.5 }) {}
/** x moved towards 0 by lambd, 0 within [-lambd, lambd]. */
export class Softshrink extends layerOf(F.softshrink, { lambd: 0.5 }) {}
/** x where above the threshold, `value` elsewhere. */
export class Threshold extends layerWith<[threshold: number, value: number], object>(
  (x, threshold, value) => F.threshold(x, threshold, value),
  ['threshold', 'value'],
  {},
  (where, threshold, value) => requireNumbers(where, { threshold, value }),
) {}
/** Halves a dimension: the first half times the sigmoid of the second. */
export class GLU extends layerOf(F.glu, { dim: -1 }) {}
/** e^x over its sum along a dimension: any shape -> the same. */
export class Softmax extends layerWith<[dim: number], object>(
  (x, dim) => F.softmax(x, dim),
  ['dim'],
  {},
  requireDim,
) {}
/** The logarithm of {@link Softmax}. */
export class LogSoftmax extends layerWith<[dim: number], object>(
  (x, dim) => F.logSoftmax(x, dim),
  ['dim'],
  {},
  requireDim,
) {}
/** {@link Softmax} of −x. */
export class Softmin extends layerWith<[dim: number], object>(
  (x, dim) => F.softmin(x, dim),
  ['dim'],
  {},
  requireDim,
) {}
/** Softmax over the channels of [B,C,H,W] or [C,H,W]. */
export class Softmax2d extends plainLayer((x) => F.softmax(x, -3)) {}

/** Leaky ReLU with random slopes in [lower, upper] in training, their mean in evaluation. */
export class RReLU extends layerOf(F.rrelu, { lower: 1 / 8, upper: 1 / 3 }) {
  override forward(x: Tensor): Tensor {
    return F.rrelu(x, { ...this.options, training: this.training });
  }
}

/** Leaky ReLU whose slope is a parameter [numParameters]: one for all, or one a channel (dim 1). */
export class PReLU extends Module {
  readonly weight: Tensor;

  constructor(options: { numParameters?: number; init?: number } = {}) {
    super();
    const defaults = { numParameters: 1, init: 0.25 };
    const { numParameters, init } = withDefaults('PReLU', defaults, options);
    requireCounts('PReLU', { numParameters });
    requireNumbers('PReLU', { init });
    this.weight = parameter(() => torch.full([numParameters], init, { dtype: 'float32' }));
  }

  protected override details(): string {
    return signature([], { numParameters: this.weight.shape[0] }, { numParameters: 1 });
  }

  override forward(x: Tensor): Tensor {
    return F.prelu(x, this.weight);
  }
}

/** x, whatever it is constructed with. */
export class Identity extends Module {
  override forward(x: Tensor): Tensor {
    return x;
  }
}
