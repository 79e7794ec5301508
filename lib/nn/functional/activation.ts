/** Activations: element by element where nothing else is said, any shape -> the same shape. */
import type { Tensor } from '../../torch/index.js';
import * as torch from '../../torch/index.js';
import { withDefaults } from '../../torch/require.js';
import { requireTensor } from '../check.js';
import type { Given } from '../layer.js';

export {
  celu,
  celu_,
  elu,
  elu_,
  glu,
  hardshrink,
  hardsigmoid,
  hardswish,
  hardtanh,
  hardtanh_,
  leakyRelu,
  leakyRelu_,
  logSigmoid as logsigmoid,
  logSoftmax,
  mish,
  prelu,
  relu,
  relu_,
  relu6,
  rrelu,
  rrelu_,
  selu,
  selu_,
  sigmoid,
  silu,
  softmax,
  softplus,
  softshrink,
  tanh,
  threshold,
  threshold_,
} from '../../torch/index.js';

export interface GeluOptions {
  /** `none`: x·Φ(x) by erf; `tanh`: the approximation. */
  approximate: 'none' | 'tanh';
}
export const GELU_DEFAULTS: GeluOptions = { approximate: 'none' };

export function gelu(x: Tensor, options: Given<GeluOptions> = {}): Tensor {
  return torch.gelu(x, withDefaults('gelu', GELU_DEFAULTS, options));
}

/** x / (1 + |x|). */
export function softsign(x: Tensor): Tensor {
  requireTensor('softsign', x);
  return x.div(x.abs().add(1));
}

/** x − tanh(x). */
export function tanhshrink(x: Tensor): Tensor {
  requireTensor('tanhshrink', x);
  return x.sub(x.tanh());
}

/** Softmax of −x over a dimension. */
export function softmin(x: Tensor, dim: number, options?: { dtype?: torch.DType }): Tensor;
export function softmin(x: Tensor, options: { dim: number; dtype?: torch.DType }): Tensor;
export function softmin(x: Tensor, ...rest: unknown[]): Tensor {
  requireTensor('softmin', x);
  return torch.softmax(x.neg(), ...(rest as [number]));
}

export interface GumbelSoftmaxOptions {
  tau: number;
  /** One-hot values forward, the gradient of the soft ones backward. */
  hard: boolean;
  dim: number;
  generator: torch.Generator | null;
}

/** Samples of the Gumbel-softmax distribution with temperature tau over a dimension of the logits. */
export function gumbelSoftmax(logits: Tensor, options: Given<GumbelSoftmaxOptions> = {}): Tensor {
  const defaults: GumbelSoftmaxOptions = { tau: 1, hard: false, dim: -1, generator: null };
  const { tau, hard, dim, generator } = withDefaults('gumbelSoftmax', defaults, options);
  const gumbels = torch
    .emptyLike(logits)
    .exponential_(1, generator ? { generator } : {})
    .log()
    .neg();
  const soft = torch.softmax(logits.add(gumbels).div(tau), dim);
  if (!hard) return soft;
  const index = soft.argmax({ dim, keepdim: true });
  const oneHot = torch.zerosLike(logits).scatter(dim, index, 1);
  return oneHot.sub(soft.detach()).add(soft);
}
