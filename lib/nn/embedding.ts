import { ArgumentError } from '../torch/errors.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { withDefaults } from '../torch/require.js';
import { requireChoice, requireCounts, requireNumbers } from './check.js';
import * as F from './functional/linear.js';
import { normal_ } from './init.js';
import type { Given } from './layer.js';
import { Module } from './module.js';
import { parameter } from './parameter.js';
import { signature } from './tree.js';

/** Of normal values [count, dim], the row `paddingIdx` zero. */
abstract class Table<Options extends F.LookUpOptions> extends Module {
  readonly weight: Tensor;

  constructor(
    readonly count: number,
    readonly dim: number,
    readonly options: Options,
    readonly defaults: Options,
  ) {
    super();
    const where = new.target.name;
    requireCounts(where, { count, dim }, 0);
    const { paddingIdx, maxNorm, normType } = options;
    if (maxNorm !== null) requireNumbers(where, { maxNorm, normType }, 0);
    if (paddingIdx !== null) {
      requireCounts(where, { paddingIdx }, -count);
      if (paddingIdx >= count) {
        throw new ArgumentError(
          `${where}: found the paddingIdx ${paddingIdx}, expected a row of ${count}`,
        );
      }
    }
    this.weight = parameter(() => {
      const weight = normal_(torch.empty([count, dim]));
      if (paddingIdx !== null) weight.select(0, paddingIdx).zero_();
      return weight;
    });
  }

  protected override details(): string {
    return signature([this.count, this.dim], this.options, this.defaults);
  }
}

/** A row of [count, dim] for each index: int64 or int32 [...] -> [..., dim]. */
export class Embedding extends Table<F.LookUpOptions> {
  constructor(count: number, dim: number, options: Given<F.LookUpOptions> = {}) {
    super(count, dim, withDefaults(new.target.name, F.LOOK_UP, options), F.LOOK_UP);
  }

  override forward(indices: Tensor): Tensor {
    return F.embedding(indices, this.weight, this.options);
  }
}

type BagOptions = Omit<F.BagOptions, 'offsets' | 'perSampleWeights'>;
const { offsets: _, perSampleWeights: __, ...BAG } = F.BAG;

/** The sum, mean or maximum of the rows of each bag of indices: [B,N] -> [B,dim]. */
export class EmbeddingBag extends Table<BagOptions> {
  constructor(count: number, dim: number, options: Given<BagOptions> = {}) {
    const known = withDefaults(new.target.name, BAG, options);
    requireChoice(new.target.name, 'mode', known.mode, F.BAG_MODES);
    super(count, dim, known, BAG);
  }

  /**
   * @param indices [B,N], or [N] with `offsets`.
   * @param offsets where each bag begins, [B].
   * @param perSampleWeights of the rows, of the shape of the indices; for sums.
   */
  override forward(
    indices: Tensor,
    offsets: Tensor | null = null,
    perSampleWeights: Tensor | null = null,
  ): Tensor {
    return F.embeddingBag(indices, this.weight, { ...this.options, offsets, perSampleWeights });
  }
}
