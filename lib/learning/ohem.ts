import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { LearningError } from './errors.js';

/** Online hard example mining: which pixels a loss is averaged over. */
export interface OhemOptions {
  /** Pixels whose true class has at most this probability are hard (the paper: 0.7). */
  threshold: number;
  /** Keep at least this many pixels, the hardest; all valid ones where there are fewer. */
  minKept: number;
  /** Label that takes no part (255). */
  ignoreIndex?: number;
}

const REDUCE_NONE = 0;
/** Above every probability: where void pixels go, so that they sort last and are never kept. */
const VOID = 2;

/**
 * OHEM cross entropy (m3l.md section 5): the mean cross entropy over the pixels whose true class
 * has probability p ≤ max(threshold, the minKept-th smallest p).
 *
 * @param logits [B, K, H, W] floating
 * @param labels [B, H, W] int64 in 0…K−1, or `ignoreIndex`
 * @returns a scalar; 0 with zero gradients where every pixel is void
 */
export function ohemCrossEntropy(logits: Tensor, labels: Tensor, options: OhemOptions): Tensor {
  return ohemPerHead([logProbabilities(logits)], labels, options)[0]!;
}

/** log softmax over the classes of [B, K, H, W], in float32 at least. */
export function logProbabilities(logits: Tensor): Tensor {
  const half = logits.dtype === 'float16' || logits.dtype === 'bfloat16';
  return torch.logSoftmax(half ? logits.to('float32') : logits, 1);
}

/**
 * `ohemCrossEntropy` of several predictions for the same labels, from their log probabilities.
 * Together, because whether a head needs a selection at all is read from the device, and one read
 * serves all heads.
 */
export function ohemPerHead(
  heads: readonly Tensor[],
  labels: Tensor,
  { threshold, minKept, ignoreIndex = 255 }: OhemOptions,
): Tensor[] {
  for (const head of heads) checkShapes(head, labels);
  const isVoid = labels.eq(ignoreIndex);
  const losses = heads.map((head) => torch.nllLoss2d(head, labels, null, REDUCE_NONE, ignoreIndex));
  const probabilities = losses.map((loss) => loss.detach().neg().exp_().maskedFill_(isVoid, VOID));
  const hard = readNumbers(probabilities.map((p) => p.le(threshold).sum()));
  return losses.map((loss, head) => {
    const p = probabilities[head]!;
    const cut = hard[head]! >= minKept ? threshold : kthSmallest(p, minKept, threshold);
    // "not above" rather than "at most": a NaN is kept, and the loss shows it.
    const kept = (typeof cut === 'number' ? p.gt(cut) : torch.gt(p, cut)).logicalNot();
    return loss.mul(kept).sum().div(kept.sum().clamp(1));
  });
}

/** The k-th smallest probability as a scalar tensor, at least `threshold` and below VOID. */
function kthSmallest(probabilities: Tensor, k: number, threshold: number): Tensor {
  const flat = probabilities.flatten();
  const [value] = torch.kthvalue(flat, Math.min(k, flat.shape[0]!));
  return value.clamp(threshold, (1 + VOID) / 2);
}

function readNumbers(scalars: Tensor[]): number[] {
  return Array.from(torch.stack(scalars).to('float64').toTypedArray() as Float64Array);
}

function checkShapes(head: Tensor, labels: Tensor): void {
  const [batch, , height, width] = head.shape;
  const fits =
    head.ndim === 4 &&
    labels.ndim === 3 &&
    labels.shape[0] === batch &&
    labels.shape[1] === height &&
    labels.shape[2] === width;
  if (!fits) {
    throw new LearningError(
      'M3L_LOSS_SHAPE',
      `a prediction is [${head.shape}] and its labels are [${labels.shape}]: expected ` +
        '[B, K, H, W] and [B, H, W]. Resize the prediction to the labels first.',
    );
  }
}
