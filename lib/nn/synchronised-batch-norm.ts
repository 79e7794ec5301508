import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';

/** Processes that take the statistics of a batch together; a `ProcessGroup` of `torch.distributed` is one. */
export interface StatisticsGroup {
  readonly worldSize: number;
  /** In place. */
  allReduce(tensor: Tensor, operation?: 'sum'): void;
}

/** What a norm has beside its input. */
export interface NormState {
  weight: Tensor | null;
  bias: Tensor | null;
  running: { mean: Tensor; var: Tensor } | null;
  /** Of the moves of the running statistics. */
  momentum: number;
  eps: number;
}

/**
 * Batch normalisation by the statistics of the samples of all processes, as of one batch: the mean first,
 * then the mean squared distance from it.
 *
 * @param x [B, C, …]
 */
export function synchronisedBatchNorm(
  x: Tensor,
  { weight, bias, running, momentum, eps }: NormState,
  group: StatisticsGroup,
): Tensor {
  const sum = sumOver(group);
  const channels = x.shape[1]!;
  const others = x.shape.map((_, dim) => dim).filter((dim) => dim !== 1);
  const shape = x.shape.map((size, dim) => (dim === 1 ? size : 1));
  const wide = x.dtype === 'float64' ? x : x.to('float32');
  const own = torch.full([1], x.numel() / channels, { dtype: wide.dtype, device: x.device });
  const first = sum(torch.cat([wide.sum(others), own]));
  const count = first.narrow(0, channels, 1).detach();
  const mean = first.narrow(0, 0, channels).div(count);
  const distance = wide.sub(mean.reshape(shape));
  const variance = sum(distance.square().sum(others)).div(count);
  if (running !== null && momentum > 0) {
    torch.noGrad(() => {
      const unbiased = variance.detach().mul(count).div(count.sub(1).clamp(1));
      running.mean
        .mul_(1 - momentum)
        .add_(mean.detach().to(running.mean.dtype), { alpha: momentum });
      running.var.mul_(1 - momentum).add_(unbiased.to(running.var.dtype), { alpha: momentum });
    });
  }
  let result = distance.mul(variance.add(eps).rsqrt().reshape(shape));
  if (weight) result = result.mul(weight.reshape(shape));
  if (bias) result = result.add(bias.reshape(shape));
  return result.to(x.dtype);
}

/** The sum over the processes; what reaches one of them counts by the losses of all. */
function sumOver(group: StatisticsGroup): (tensor: Tensor) => Tensor {
  const total = (tensor: Tensor) => {
    const copy = tensor.detach().clone({ memoryFormat: 'contiguous' });
    group.allReduce(copy, 'sum');
    return copy;
  };
  return torch.customFunction({
    forward: (_, tensor: Tensor) => total(tensor),
    backward: (_, gradient) => total(gradient),
  });
}
