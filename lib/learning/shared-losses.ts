import { IGNORE_LABEL } from '../data/index.js';
import { bilinear } from '../models/index.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { hardPixels } from './hard-pixels.js';
import type { OhemOptions, Targets } from './losses.js';
import type { Peers } from './peers.js';

/** Above every probability: all pixels that have a label are kept. */
const ALL_KEPT = 1.5;

/**
 * `crossEntropies` of a batch that several processes share: which pixels are hard is decided over those of
 * all, and so are the means.
 *
 * First, without gradients, the probabilities of the labelled pixels are looked at and the pixels that are
 * not kept made void; then each head's losses are sums over what is left.
 */
export function crossEntropiesOverAll(
  heads: readonly Tensor[],
  { labels, pseudo }: Targets,
  ohem: OhemOptions,
  peers: Peers,
): { sup: Tensor; pseudo: Tensor } {
  const { ignoreIndex = IGNORE_LABEL } = ohem;
  const count = (of: Tensor | undefined) =>
    of === undefined
      ? torch.zeros([], { dtype: 'float64', device: heads[0]!.device })
      : counted(of);
  const counted = (of: Tensor) => of.ne(ignoreIndex).sum().to('float64');
  const taughtCount = count(pseudo);
  const sums: Tensor[] = [];
  const counts: Tensor[] = [];
  for (const head of heads) {
    const kept =
      labels && torch.noGrad(() => torch.scope(() => keptLabels(head, labels, ohem, peers)));
    const [sup, taught] = torch.ops.m3l!.upsample_ohem_cross_entropy!(
      [head],
      kept,
      pseudo,
      ALL_KEPT,
      0,
      ignoreIndex,
    ) as [Tensor, Tensor];
    const keptCount = count(kept);
    sums.push(sup.to('float64').mul(keptCount), taught.to('float64').mul(taughtCount));
    counts.push(keptCount, taughtCount);
  }
  const all = peers.sum(torch.stack([...sums, ...counts])).reshape([2, heads.length, 2]);
  const [total, number] = all.unbind(0) as [Tensor, Tensor];
  const means = total.div(number.clamp(1)).mean([0]); // [2]
  const [sup, taught] = means.to(lossType(heads)).unbind(0) as [Tensor, Tensor];
  return { sup, pseudo: taught };
}

/** [N, H, W]: the labels of the pixels that count, the others void. */
function keptLabels(head: Tensor, labels: Tensor, ohem: OhemOptions, peers: Peers): Tensor {
  const { ignoreIndex = IGNORE_LABEL } = ohem;
  const valid = labels.ne(ignoreIndex);
  if (ohem.minKept === 0 && ohem.threshold >= 1) return labels;
  const [count, height, width] = labels.shape as [number, number, number];
  const size: [number, number] = [height, width];
  // A sample at a time: logits of full size are what the loss itself does without.
  const probability = torch.cat(
    Array.from({ length: count }, (_, n) =>
      torch.scope(() => {
        const small = head
          .detach()
          .narrow(0, n, 1)
          .to(lossType([head]));
        const classes = labels.narrow(0, n, 1).maskedFill(valid.narrow(0, n, 1).logicalNot(), 0);
        const logits = bilinear(small, size)(small);
        return logits.softmax(1).gather(1, classes.unsqueeze(1)).squeeze(1);
      }),
    ),
  );
  const hard = hardPixels(probability, valid, ohem, peers);
  return labels.maskedFill(hard.logicalNot(), ignoreIndex);
}

function lossType(heads: readonly Tensor[]): 'float32' | 'float64' {
  return heads.some(({ dtype }) => dtype === 'float64') ? 'float64' : 'float32';
}
