/** Values to start from. All fill in place, outside the graph, and return their argument. */
import { ArgumentError } from '../torch/errors.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { requireObject, withDefaults } from '../torch/require.js';
import { requireChoice, requireCounts, requireNumbers, requireTensor } from './check.js';

export interface InitOptions {
  /** Where random numbers come from; the default generator of the device otherwise. */
  generator?: torch.Generator;
}

function given(options: InitOptions): InitOptions {
  requireObject(options, 'init', 'options');
  return options.generator ? { generator: options.generator } : {};
}

/** Fills by `fill`, outside the graph; what else it makes is released. */
function filled(tensor: Tensor, fill: () => unknown): Tensor {
  requireTensor('init', tensor);
  torch.scope(() => torch.noGrad(() => void fill()));
  return tensor;
}

export function zeros_(tensor: Tensor): Tensor {
  return filled(tensor, () => tensor.zero_());
}

export function ones_(tensor: Tensor): Tensor {
  return filled(tensor, () => tensor.fill_(1));
}

export function constant_(tensor: Tensor, value: number): Tensor {
  return filled(tensor, () => tensor.fill_(value));
}

export function normal_(tensor: Tensor, mean = 0, std = 1, options: InitOptions = {}): Tensor {
  return filled(tensor, () => tensor.normal_(mean, std, given(options)));
}

export function uniform_(tensor: Tensor, low = 0, high = 1, options: InitOptions = {}): Tensor {
  return filled(tensor, () => tensor.uniform_(low, high, given(options)));
}

/** Normal values, none outside [low, high] (absolute, as in PyTorch: not in units of std). */
export function truncNormal_(
  tensor: Tensor,
  options: InitOptions & { mean?: number; std?: number; low?: number; high?: number } = {},
): Tensor {
  requireObject(options, 'init.truncNormal_', 'options');
  const { mean = 0, std = 1, low = -2, high = 2 } = options;
  requireNumbers('init.truncNormal_', { mean, std, low, high });
  return filled(tensor, () => {
    const bounds = torch
      .tensor([low, high], { dtype: 'float64' })
      .sub(mean)
      .div(std * Math.SQRT2)
      .erf()
      .toArray() as number[];
    // erfinv is infinite at ±1, which a far-off bound rounds to and uniform_ can draw.
    const edge = 1 - 2 ** -23;
    tensor.uniform_(bounds[0]!, bounds[1]!, given(options)).clamp_(-edge, edge);
    tensor
      .erfinv_()
      .mul_(std * Math.SQRT2)
      .add_(mean)
      .clamp_(low, high);
  });
}

function requireDims(where: string, tensor: Tensor, least: number, most = Infinity): void {
  requireTensor(`init.${where}`, tensor);
  if (tensor.ndim >= least && tensor.ndim <= most) return;
  const range =
    most === Infinity ? `at least ${least}` : least === most ? least : `${least} to ${most}`;
  throw new ArgumentError(
    `init.${where}: found shape [${tensor.shape}], expected ${range} dimensions`,
  );
}

/** Ones where row and column are the same, of a matrix. */
export function eye_(tensor: Tensor): Tensor {
  requireDims('eye_', tensor, 2, 2);
  return filled(tensor, () => {
    tensor.zero_();
    tensor.diagonal().fill_(1);
  });
}

/** The identity as a convolution [out, in, …]: as many channels as there are pass unchanged. */
export function dirac_(tensor: Tensor, options: { groups?: number } = {}): Tensor {
  requireDims('dirac_', tensor, 3, 5);
  const { groups } = withDefaults('init.dirac_', { groups: 1 }, options);
  requireCounts('init.dirac_', { groups });
  const [outChannels, inChannels, ...kernel] = tensor.shape as [number, number, ...number[]];
  if (outChannels % groups !== 0) {
    throw new ArgumentError(
      `init.dirac_: found ${groups} groups of ${outChannels} channels, expected a divisor of them`,
    );
  }
  const rows = outChannels / groups;
  return filled(tensor, () => {
    tensor.zero_();
    const middle = kernel.reduce((x, side) => x.select(2, Math.floor(side / 2)), tensor);
    for (let group = 0; group < groups; group++) {
      middle
        .narrow(0, group * rows, rows)
        .diagonal()
        .narrow(0, 0, Math.min(rows, inChannels))
        .fill_(1);
    }
  });
}

/** How many values go into one of the output, and out of one of the input: [out, in, …]. */
export function calculateFanInAndFanOut(tensor: Tensor): [fanIn: number, fanOut: number] {
  requireDims('calculateFanInAndFanOut', tensor, 2);
  const [outChannels, inChannels, ...kernel] = tensor.shape as [number, number, ...number[]];
  const area = kernel.reduce((product, side) => product * side, 1);
  return [inChannels * area, outChannels * area];
}

const GAINS: Record<string, number> = {
  linear: 1,
  conv1d: 1,
  conv2d: 1,
  conv3d: 1,
  convTranspose1d: 1,
  convTranspose2d: 1,
  convTranspose3d: 1,
  sigmoid: 1,
  tanh: 5 / 3,
  relu: Math.SQRT2,
  selu: 3 / 4,
};
export type Nonlinearity =
  | 'linear'
  | `conv${1 | 2 | 3}d`
  | `convTranspose${1 | 2 | 3}d`
  | 'sigmoid'
  | 'tanh'
  | 'relu'
  | 'leakyRelu'
  | 'selu';

/** @param slope of leakyRelu's negative half. */
export function calculateGain(nonlinearity: Nonlinearity, slope = 0.01): number {
  requireChoice('init.calculateGain', 'nonlinearity', nonlinearity, [
    ...Object.keys(GAINS),
    'leakyRelu',
  ]);
  requireNumbers('init.calculateGain', { slope });
  return GAINS[nonlinearity] ?? Math.sqrt(2 / (1 + slope ** 2));
}

/** Uniform within ±gain·sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio, 2010). */
export function xavierUniform_(tensor: Tensor, gain = 1, options: InitOptions = {}): Tensor {
  const [fanIn, fanOut] = calculateFanInAndFanOut(tensor);
  requireNumbers('init.xavierUniform_', { gain });
  const bound = gain * Math.sqrt(6 / (fanIn + fanOut));
  return uniform_(tensor, -bound, bound, options);
}

/** Normal with std gain·sqrt(2 / (fan_in + fan_out)) (Glorot and Bengio, 2010). */
export function xavierNormal_(tensor: Tensor, gain = 1, options: InitOptions = {}): Tensor {
  const [fanIn, fanOut] = calculateFanInAndFanOut(tensor);
  requireNumbers('init.xavierNormal_', { gain });
  return normal_(tensor, 0, gain * Math.sqrt(2 / (fanIn + fanOut)), options);
}

export interface KaimingOptions extends InitOptions {
  /** The slope of leakyRelu's negative half; 0 by default. */
  a?: number;
  /** What keeps its variance: the values forward, or the gradients backward. */
  mode?: 'fanIn' | 'fanOut';
  nonlinearity?: Nonlinearity;
}

/** gain / sqrt(fan) */
function kaimingStd(where: string, tensor: Tensor, options: KaimingOptions): number {
  requireObject(options, `init.${where}`, 'options');
  const { a = 0, mode = 'fanIn', nonlinearity = 'leakyRelu' } = options;
  requireChoice(`init.${where}`, 'mode', mode, ['fanIn', 'fanOut']);
  const [fanIn, fanOut] = calculateFanInAndFanOut(tensor);
  return calculateGain(nonlinearity, a) / Math.sqrt(mode === 'fanIn' ? fanIn : fanOut);
}

/** Uniform within ±gain·sqrt(3 / fan) (He et al., 2015). */
export function kaimingUniform_(tensor: Tensor, options: KaimingOptions = {}): Tensor {
  const bound = Math.sqrt(3) * kaimingStd('kaimingUniform_', tensor, options);
  return uniform_(tensor, -bound, bound, options);
}

/** Normal with std gain / sqrt(fan) (He et al., 2015). */
export function kaimingNormal_(tensor: Tensor, options: KaimingOptions = {}): Tensor {
  return normal_(tensor, 0, kaimingStd('kaimingNormal_', tensor, options), options);
}

/** Normal with std sqrt(2 / fan_out), fan_out = kernel area · out channels / groups. */
export function kaimingFanOut_(
  weight: Tensor,
  options: InitOptions & { groups?: number } = {},
): Tensor {
  requireTensor('init.kaimingFanOut_', weight);
  requireObject(options, 'init.kaimingFanOut_', 'options');
  const [outChannels = 1, , ...kernel] = weight.shape;
  const fanOut =
    (kernel.reduce((area, side) => area * side, 1) * outChannels) / (options.groups ?? 1);
  return normal_(weight, 0, Math.sqrt(2 / fanOut), options);
}

/** Orthogonal rows, or columns where there are fewer, times gain (Saxe et al., 2013). */
export function orthogonal_(tensor: Tensor, gain = 1, options: InitOptions = {}): Tensor {
  requireDims('orthogonal_', tensor, 2);
  requireNumbers('init.orthogonal_', { gain });
  if (tensor.numel() === 0) return tensor;
  return filled(tensor, () => {
    const rows = tensor.shape[0]!;
    const columns = tensor.numel() / rows;
    const { dtype, device } = tensor;
    const drawn = torch.empty([rows, columns], { dtype, device }).normal_(0, 1, given(options));
    const [q, r] = torch.linalg.qr(rows < columns ? drawn.t() : drawn);
    // Signs that make the distribution uniform (Mezzadri, 2006).
    const signed = q.mul(r.diagonal().sign());
    tensor.copy_((rows < columns ? signed.t() : signed).reshape(tensor.shape)).mul_(gain);
  });
}

/** Normal values with a share of each column of a matrix zero (Martens, 2010). */
export function sparse_(
  tensor: Tensor,
  sparsity: number,
  std = 0.01,
  options: InitOptions = {},
): Tensor {
  requireDims('sparse_', tensor, 2, 2);
  requireNumbers('init.sparse_', { sparsity }, 0, 1);
  const [rows, columns] = tensor.shape as [number, number];
  const zeros = Math.ceil(sparsity * rows);
  return filled(tensor, () => {
    tensor.normal_(0, std, given(options));
    for (let column = 0; column < columns; column++) {
      const chosen = torch.randperm(rows, given(options)).narrow(0, 0, zeros);
      tensor.select(1, column).indexFill_(0, chosen.to(tensor.device), 0);
    }
  });
}

/** PyTorch's default for Linear and convolutions: uniform within ±1/sqrt(fan_in). */
export function fanIn_(tensor: Tensor, fanIn: number, options: InitOptions = {}): Tensor {
  requireNumbers('init.fanIn_', { fanIn });
  const bound = fanIn > 0 ? 1 / Math.sqrt(fanIn) : 0;
  return uniform_(tensor, -bound, bound, options);
}
