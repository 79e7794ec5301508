import { bilinear } from '../models/index.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { hardPixels } from './hard-pixels.js';
import type { OhemOptions } from './losses.js';
import { ALONE } from './peers.js';

/** Of a probability: its power has a gradient. */
const TINY = 1e-6;

/**
 * OHEM cross entropy whose pixels count by their class and by how hard they are: of the kept pixels
 * Σ w_y · (1 − p)^γ · −log p / Σ w_y, mean over the heads; which are kept follows p alone. 0 where every
 * pixel is void. As PyTorch's weighted mean, and the focal loss of Lin et al. (2017).
 *
 * At full size, a head at a time, and without a value that the host would wait for: a captured step runs
 * it too.
 *
 * @param heads logits of any resolution, P × [B, K, h, w]
 * @param labels [N, H, W] int64 with N ≤ B: of the first N samples
 */
export function weightedCrossEntropy(
  heads: readonly Tensor[],
  labels: Tensor,
  { ignoreIndex = 255, classWeights, focal = 0, peers = ALONE, ...ohem }: OhemOptions,
): Tensor {
  const [count, height, width] = labels.shape as [number, number, number];
  const valid = labels.ne(ignoreIndex);
  const classes = labels.maskedFill(valid.logicalNot(), 0);
  const weights = classWeights ? weightsOf(classes, classWeights) : null;
  const losses = heads.map((head) => {
    const wide = head.dtype === 'float64' ? head : head.to('float32');
    const small = wide.narrow(0, 0, count);
    const logits = bilinear(small, [height, width])(small);
    const entropy = logits.logSoftmax(1).gather(1, classes.unsqueeze(1)).squeeze(1).neg(); // [N, H, W]
    const hard = torch.noGrad(() => hardPixels(entropy.detach().neg().exp(), valid, ohem, peers));
    const kept = hard.to(entropy.dtype);
    const counted = weights ? kept.mul(weights) : kept;
    const focused = focal === 0 ? entropy : entropy.mul(doubt(entropy).pow(focal));
    const all = peers.sum(torch.stack([focused.mul(counted).sum(), counted.sum()]));
    return all.select(0, 0).div(all.select(0, 1).clamp(TINY));
  });
  return torch.stack(losses).mean();
}

/** 1 − p from −log p. */
function doubt(entropy: Tensor): Tensor {
  return entropy.neg().exp().neg().add(1).clamp(TINY);
}

/** Made where they are needed, by kernels that a captured graph can hold. */
function weightsOf(classes: Tensor, list: readonly number[]): Tensor {
  const { device } = classes;
  const weights = torch.stack(list.map((weight) => torch.full([], weight, { device })));
  return weights.indexSelect(0, classes.flatten()).view([...classes.shape]);
}
