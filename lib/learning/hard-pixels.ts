import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { ALONE, type Peers } from './peers.js';

/** Above every probability: of a pixel that takes no part. */
const NONE = 2;
/** Bits of a probability that one round of a selection over several processes settles. */
const ROUND = 8;

/**
 * The hard pixels of all processes that are this one's (m3l.md section 5): those of p ≤ max(threshold, the
 * minKept-th smallest p) among the valid ones; all of these where they are fewer.
 *
 * @param probability [N, H, W] of the true class
 * @param valid [N, H, W] bool
 */
export function hardPixels(
  probability: Tensor,
  valid: Tensor,
  { threshold, minKept }: { threshold: number; minKept: number },
  peers: Peers = ALONE,
): Tensor {
  const alone = peers.worldSize === 1;
  if (alone && minKept > probability.numel()) return valid;
  const own = probability.maskedFill(valid.logicalNot(), NONE);
  if (minKept === 0) return own.le(threshold);
  if (alone) {
    const cut = own.flatten().kthvalue(minKept).values.clamp(threshold);
    return valid.logicalAnd(own.le(cut));
  }
  const hard = own.le(threshold);
  const count = (mask: Tensor) => mask.sum().to('float64');
  const [kept, all] = numbers(peers.sum(torch.stack([count(hard), count(valid)])));
  if (kept! >= minKept) return hard;
  if (all! <= minKept) return valid;
  return valid.logicalAnd(bitsOf(own).le(smallest(bitsOf(own), minKept, peers)));
}

/** As integers of the same order, int32: probabilities are not negative. */
function bitsOf(probability: Tensor): Tensor {
  return probability.to('float32').contiguous().view('int32');
}

/** The k-th smallest of the values of all processes, by counting them `ROUND` bits at a time. */
function smallest(values: Tensor, k: number, peers: Peers): number {
  let found = 0;
  let rest = k;
  for (let shift = 32 - ROUND; shift >= 0; shift -= ROUND) {
    const high = shift + ROUND;
    const near = high === 32 ? values : values.maskedSelect(shifted(values, high).eq(found));
    const digits = shifted(near, shift)
      .bitwiseAnd(2 ** ROUND - 1)
      .flatten();
    const counts = numbers(peers.sum(digits.bincount({ minlength: 2 ** ROUND }).to('float64')));
    let digit = 0;
    while (rest > counts[digit]!) rest -= counts[digit++]!;
    found = found * 2 ** ROUND + digit;
  }
  return found;
}

function shifted(values: Tensor, bits: number): Tensor {
  return values.bitwiseRightShift(bits);
}

function numbers(tensor: Tensor): number[] {
  return [...(tensor.toTypedArray() as Float64Array)];
}
