import { ArgumentError } from '../torch/errors.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { withDefaults } from '../torch/require.js';
import { requireCounts, requireNumbers, requireRank } from './check.js';
import { ModuleList, Sequential } from './container.js';
import { Linear } from './linear.js';
import { Module } from './module.js';
import { signature } from './tree.js';

const DEFAULTS = { divValue: 4, headBias: false };

/**
 * A softmax over many classes, the frequent ones first (Grave et al., 2017): those below the first
 * cutoff by themselves, the others in clusters of ever smaller width.
 */
export class AdaptiveLogSoftmaxWithLoss extends Module {
  /** [in] -> the frequent classes and the clusters. */
  readonly head: Linear;
  readonly tail: ModuleList<Sequential>;
  /** Where clusters end, the number of classes last. */
  readonly cutoffs: readonly number[];
  readonly divValue: number;

  /** @param cutoffs increasing integers in [1, classes − 1]. */
  constructor(
    readonly inFeatures: number,
    readonly classes: number,
    cutoffs: readonly number[],
    options: { divValue?: number; headBias?: boolean } = {},
  ) {
    super();
    const where = 'AdaptiveLogSoftmaxWithLoss';
    const { divValue, headBias } = withDefaults(where, DEFAULTS, options);
    requireCounts(where, { inFeatures, classes });
    requireNumbers(where, { divValue }, 0);
    const rising = [...cutoffs, classes].every(
      (cutoff, i, all) => Number.isInteger(cutoff) && cutoff > (all[i - 1] ?? 0),
    );
    if (cutoffs.length === 0 || !rising) {
      throw new ArgumentError(
        `${where}: found the cutoffs [${cutoffs}], expected increasing integers from 1 to ${classes - 1}`,
      );
    }
    this.cutoffs = [...cutoffs, classes];
    this.divValue = divValue;
    this.head = new Linear(inFeatures, cutoffs[0]! + cutoffs.length, { bias: headBias });
    this.tail = new ModuleList(
      cutoffs.map((cutoff, i) => {
        const width = Math.floor(inFeatures / divValue ** (i + 1));
        const size = this.cutoffs[i + 1]! - cutoff;
        return new Sequential(
          new Linear(inFeatures, width, { bias: false }),
          new Linear(width, size, { bias: false }),
        );
      }),
    );
  }

  /**
   * The log-probability of each sample's class, and the mean of their negatives: [B,in] and classes
   * [B] (int64) -> [B] and a scalar; one sample alone has no B.
   */
  override forward(x: Tensor, target: Tensor): [output: Tensor, loss: Tensor] {
    requireRank('AdaptiveLogSoftmaxWithLoss', x, [target.ndim + 1], 'a target [B] and [B,in]');
    requireRank('AdaptiveLogSoftmaxWithLoss', target, [0, 1], 'a target [B] or []');
    const single = target.ndim === 0;
    const [batch, classes] = single ? [x.unsqueeze(0), target.unsqueeze(0)] : [x, target];
    this.#requireClasses(classes);
    const shortlist = this.cutoffs[0]!;
    let column = classes;
    let output = torch.zeros(classes.shape, { dtype: x.dtype, device: x.device });
    for (const [i, cluster] of [...this.tail].entries()) {
      const [low, high] = [this.cutoffs[i]!, this.cutoffs[i + 1]!];
      const within = classes.ge(low).logicalAnd(classes.lt(high));
      const rows = within.nonzero().squeeze(1);
      if (rows.numel() === 0) continue;
      column = column.maskedFill(within, shortlist + i);
      const local = classes.indexSelect(0, rows).sub(low).unsqueeze(1);
      const shares = torch.logSoftmax(cluster.forward(batch.indexSelect(0, rows)), 1);
      output = output.indexCopy(0, rows, shares.gather(1, local).squeeze(1));
    }
    const head = torch.logSoftmax(this.head.forward(batch), 1);
    output = output.add(head.gather(1, column.unsqueeze(1)).squeeze(1));
    const loss = output.neg().mean();
    return [single ? output.squeeze(0) : output, loss];
  }

  #requireClasses(classes: Tensor): void {
    const strays = () => classes.lt(0).logicalOr(classes.ge(this.classes)).any().item();
    if (classes.numel() === 0 || !torch.scope(strays)) return;
    throw new ArgumentError(
      `AdaptiveLogSoftmaxWithLoss: found targets beyond [0, ${this.classes - 1}], expected classes`,
    );
  }

  /** The log-probabilities of all classes: [B,in] -> [B,classes]. */
  logProb(x: Tensor): Tensor {
    const shortlist = this.cutoffs[0]!;
    const head = torch.logSoftmax(this.head.forward(x), 1);
    const clusters = [...this.tail].map((cluster, i) =>
      torch.logSoftmax(cluster.forward(x), 1).add(head.narrow(1, shortlist + i, 1)),
    );
    return torch.cat([head.narrow(1, 0, shortlist), ...clusters], 1);
  }

  /** The most probable class of each sample: [B,in] -> int64 [B]. */
  predict(x: Tensor): Tensor {
    return this.logProb(x).argmax({ dim: 1 });
  }

  protected override details(): string {
    const options = { divValue: this.divValue, headBias: this.head.bias !== null };
    return signature([this.inFeatures, this.classes, this.cutoffs.slice(0, -1)], options, DEFAULTS);
  }
}
