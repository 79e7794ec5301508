import { ArgumentError } from '../torch/errors.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { withDefaults } from '../torch/require.js';
import { requireChoice, requireCounts, requireNumbers, requireRank } from './check.js';
import { normal_ } from './init.js';
import type { Given } from './layer.js';
import { Module } from './module.js';
import { parameter } from './parameter.js';
import { signature } from './tree.js';

interface SharedOptions {
  /** The row that stays as it is in training; zero at first. Negative ones count from the end. */
  paddingIdx: number | null;
  /** Rows that are looked up and longer than this are scaled down to it, in place. */
  maxNorm: number | null;
  /** The p of the norm that `maxNorm` bounds. */
  normType: number;
  scaleGradByFreq: boolean;
  /** Gradients as sparse tensors. */
  sparse: boolean;
}
const SHARED: SharedOptions = {
  paddingIdx: null,
  maxNorm: null,
  normType: 2,
  scaleGradByFreq: false,
  sparse: false,
};

abstract class Table<Options extends SharedOptions> extends Module {
  /** [count, dim] */
  readonly weight: Tensor;
  /** The row that stays; -1 is the operators' word for none. */
  protected readonly row: number;

  constructor(
    readonly count: number,
    readonly dim: number,
    readonly options: Options,
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
    this.row = paddingIdx === null ? -1 : (paddingIdx + count) % count;
    this.weight = parameter(() => {
      const weight = normal_(torch.empty([count, dim]));
      if (paddingIdx !== null) weight.select(0, this.row).zero_();
      return weight;
    });
  }

  /** Scales long rows down, where that is wished. */
  protected bound(indices: Tensor): void {
    const { maxNorm, normType } = this.options;
    if (maxNorm === null) return;
    torch.scope(() => {
      torch.noGrad(() => {
        torch.embeddingRenorm_(this.weight.detach(), indices.contiguous(), maxNorm, normType);
      });
    });
  }

  protected signature(defaults: Options): string {
    return signature([this.count, this.dim], this.options, defaults);
  }
}

/** A row of [count, dim] for each index: int64 or int32 [...] -> [..., dim]. */
export class Embedding extends Table<SharedOptions> {
  constructor(count: number, dim: number, options: Given<SharedOptions> = {}) {
    super(count, dim, withDefaults(new.target.name, SHARED, options));
  }

  override forward(indices: Tensor): Tensor {
    this.bound(indices);
    const { scaleGradByFreq, sparse } = this.options;
    return torch.embedding(this.weight, indices, this.row, scaleGradByFreq, sparse);
  }

  protected override details(): string {
    return this.signature(SHARED);
  }
}

interface BagOptions extends SharedOptions {
  mode: 'sum' | 'mean' | 'max';
  /** Whether the offsets end with the number of indices. */
  includeLastOffset: boolean;
}
const BAG: BagOptions = { ...SHARED, mode: 'mean', includeLastOffset: false };
const MODES = ['sum', 'mean', 'max'];

/** The sum, mean or maximum of the rows of each bag of indices: [B,N] -> [B,dim]. */
export class EmbeddingBag extends Table<BagOptions> {
  constructor(count: number, dim: number, options: Given<BagOptions> = {}) {
    const known = withDefaults(new.target.name, BAG, options);
    requireChoice(new.target.name, 'mode', known.mode, MODES);
    super(count, dim, known);
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
    requireRank('EmbeddingBag', indices, offsets ? [1] : [2], '[B,N], or [N] with offsets');
    this.bound(indices);
    const { scaleGradByFreq, mode, sparse, includeLastOffset, paddingIdx } = this.options;
    const starts = offsets ?? this.#regular(indices);
    const [bags] = torch.embeddingBag(
      this.weight,
      indices.flatten(),
      starts,
      scaleGradByFreq,
      MODES.indexOf(mode),
      sparse,
      perSampleWeights?.flatten() ?? null,
      includeLastOffset && offsets !== null,
      paddingIdx === null ? null : this.row,
    );
    return bags;
  }

  /** Where each of B bags of N indices begins. */
  #regular(indices: Tensor): Tensor {
    const [bags, size] = indices.shape as [number, number];
    const { dtype, device } = indices;
    return torch.arange(bags, { dtype, device }).mul(size);
  }

  protected override details(): string {
    return this.signature(BAG);
  }
}
