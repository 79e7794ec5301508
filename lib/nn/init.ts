import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';

/** All fill in place, outside the graph, and return their argument. */
export interface InitOptions {
  /** Where random numbers come from; the default generator of the device otherwise. */
  generator?: torch.Generator;
}

const given = ({ generator }: InitOptions) => (generator ? { generator } : {});

export function zeros_(tensor: Tensor): Tensor {
  return torch.noGrad(() => tensor.zero_());
}

export function ones_(tensor: Tensor): Tensor {
  return torch.noGrad(() => tensor.fill_(1));
}

export function normal_(tensor: Tensor, mean = 0, std = 1, options: InitOptions = {}): Tensor {
  return torch.noGrad(() => tensor.normal_(mean, std, given(options)));
}

export function uniform_(tensor: Tensor, low = 0, high = 1, options: InitOptions = {}): Tensor {
  return torch.noGrad(() => tensor.uniform_(low, high, given(options)));
}

/** Normal values, none outside [low, high] (absolute, as in PyTorch: not in units of std). */
export function truncNormal_(
  tensor: Tensor,
  options: InitOptions & { mean?: number; std?: number; low?: number; high?: number } = {},
): Tensor {
  const { mean = 0, std = 1, low = -2, high = 2 } = options;
  return torch.scope(() =>
    torch.noGrad(() => {
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
      return tensor;
    }),
  );
}

/** Normal with std sqrt(2 / fan_out), fan_out = kernel area · out channels / groups. */
export function kaimingFanOut_(
  weight: Tensor,
  options: InitOptions & { groups?: number } = {},
): Tensor {
  const [outChannels = 1, , ...kernel] = weight.shape;
  const fanOut =
    (kernel.reduce((area, side) => area * side, 1) * outChannels) / (options.groups ?? 1);
  return normal_(weight, 0, Math.sqrt(2 / fanOut), options);
}

/** PyTorch's default for Linear and convolutions: uniform within ±1/sqrt(fan_in). */
export function fanIn_(tensor: Tensor, fanIn: number, options: InitOptions = {}): Tensor {
  const bound = fanIn > 0 ? 1 / Math.sqrt(fanIn) : 0;
  return uniform_(tensor, -bound, bound, options);
}
