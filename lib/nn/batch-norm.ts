import { ArgumentError } from '../torch/errors.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { withDefaults } from '../torch/require.js';
import { requireCounts, requireNumbers, requireRank } from './check.js';
import { requireSeveral } from './functional/normalization.js';
import type { Given } from './layer.js';
import { Module, requireModule } from './module.js';
import { buffer, parameter } from './parameter.js';
import { type StatisticsGroup, synchronisedBatchNorm } from './synchronised-batch-norm.js';
import { signature } from './tree.js';

/** What an instance norm takes by name. */
export interface InstanceNormOptions {
  eps: number;
  /** Of the running statistics' moves; null: their mean over all batches. */
  momentum: number | null;
  /** Whether there are `weight` and `bias`. */
  affine: boolean;
  /** Whether there are running statistics; those of the batch are used otherwise. */
  trackRunningStats: boolean;
}
/** What a batch norm takes by name. */
export interface BatchNormOptions extends InstanceNormOptions {
  /** Keep to the running statistics in training too. */
  frozen: boolean;
}

const INSTANCE: InstanceNormOptions = {
  eps: 1e-5,
  momentum: 0.1,
  affine: false,
  trackRunningStats: false,
};
const BATCH: BatchNormOptions = {
  ...INSTANCE,
  affine: true,
  trackRunningStats: true,
  frozen: false,
};

interface Inputs {
  /** Ascending. */
  ranks: readonly number[];
  layout: string;
}

/** The state of norms by channel: an affine map, running statistics and the number of their moves. */
abstract class ChannelNorm extends Module {
  readonly weight: Tensor | null;
  readonly bias: Tensor | null;
  readonly runningMean: Tensor | null;
  readonly runningVar: Tensor | null;
  /** int64, a scalar. */
  readonly numBatchesTracked: Tensor | null;
  readonly eps: number;
  readonly momentum: number | null;

  constructor(
    readonly channels: number,
    options: InstanceNormOptions,
  ) {
    super();
    const where = new.target.name;
    const { eps, momentum, affine, trackRunningStats } = options;
    requireCounts(where, { channels }, 0);
    requireNumbers(where, { eps }, 0);
    if (momentum !== null) requireNumbers(where, { momentum });
    this.eps = eps;
    this.momentum = momentum;
    this.weight = affine ? parameter(() => torch.ones([channels])) : null;
    this.bias = affine ? parameter(() => torch.zeros([channels])) : null;
    this.runningMean = trackRunningStats ? buffer(() => torch.zeros([channels])) : null;
    this.runningVar = trackRunningStats ? buffer(() => torch.ones([channels])) : null;
    const counter = () => torch.zeros([], { dtype: 'int64' });
    this.numBatchesTracked = trackRunningStats ? buffer(counter) : null;
  }

  protected options(): InstanceNormOptions {
    const { eps, momentum } = this;
    const affine = this.weight !== null;
    return { eps, momentum, affine, trackRunningStats: this.runningMean !== null };
  }

  /** The ranks that inputs may have, and how they read. */
  protected abstract get inputs(): Inputs;
}

/**
 * Normalises each channel over the rest of the batch in training, by the running statistics in
 * evaluation. `frozen` keeps it at the running statistics whatever the mode, with `weight` and `bias`
 * still trained.
 */
export abstract class BatchNorm extends ChannelNorm {
  frozen: boolean;
  #group: StatisticsGroup | null = null;

  constructor(channels: number, options: Given<BatchNormOptions> = {}) {
    const { frozen, ...known } = withDefaults(new.target.name, BATCH, options);
    super(channels, known);
    this.frozen = frozen && known.trackRunningStats;
  }

  /** Whether the statistics of the batch are used (and the running ones updated). */
  get usesBatchStatistics(): boolean {
    return this.runningMean === null || (this.training && !this.frozen);
  }

  /** Takes the statistics of a batch over all processes of a group; null: over its own samples. */
  synchronise(group: StatisticsGroup | null): void {
    this.#group = group;
  }

  /**
   * The affine map that this layer is while it uses its running statistics: two [C].
   *
   * @param dtype to compute in; that of the state by default.
   * @throws ArgumentError without running statistics
   */
  scaleAndShift(dtype?: torch.DType): [scale: Tensor, shift: Tensor] {
    const { runningMean, runningVar, eps, weight, bias } = this;
    if (runningMean === null || runningVar === null) {
      throw new ArgumentError(
        `${this.constructor.name}: found no running statistics, expected trackRunningStats: true`,
      );
    }
    const as = (tensor: Tensor) => (dtype ? tensor.to(dtype) : tensor);
    const inverse = as(runningVar).add(eps).rsqrt();
    const scale = weight ? as(weight).mul(inverse) : inverse;
    const mean = as(runningMean).mul(scale);
    return [scale, bias ? as(bias).sub(mean) : mean.neg()];
  }

  override forward(x: Tensor): Tensor {
    const { weight, bias, runningMean, runningVar, eps } = this;
    const where = this.constructor.name;
    requireRank(where, x, this.inputs.ranks, this.inputs.layout);
    const training = this.usesBatchStatistics;
    const group = training ? this.#group : null;
    if (training && !group) requireSeveral(where, x, x.numel() / (x.shape[1] ?? 1));
    const momentum = training && this.training ? this.#count() : 0;
    if (group !== null) {
      const running = runningMean && runningVar ? { mean: runningMean, var: runningVar } : null;
      return synchronisedBatchNorm(x, { weight, bias, running, momentum, eps }, group);
    }
    return torch.batchNorm(x, weight, bias, runningMean, runningVar, training, momentum, eps, true);
  }

  /** Counts a batch; the share that it has in the running statistics. */
  #count(): number {
    const { numBatchesTracked, momentum } = this;
    if (numBatchesTracked === null) return 0;
    numBatchesTracked.add_(1);
    return momentum ?? 1 / Number(numBatchesTracked.item());
  }

  protected override details(): string {
    const options = { ...this.options(), frozen: this.frozen };
    return signature([this.channels], options, BATCH);
  }
}

const BATCH_NORM_1D: Inputs = { ranks: [2, 3], layout: '[B,C] or [B,C,L]' };
const BATCH_NORM_2D: Inputs = { ranks: [4], layout: '[B,C,H,W]' };
const BATCH_NORM_3D: Inputs = { ranks: [5], layout: '[B,C,D,H,W]' };
const INSTANCE_NORM_1D: Inputs = { ranks: [2, 3], layout: '[B,C,L] or [C,L]' };
const INSTANCE_NORM_2D: Inputs = { ranks: [3, 4], layout: '[B,C,H,W] or [C,H,W]' };
const INSTANCE_NORM_3D: Inputs = { ranks: [4, 5], layout: '[B,C,D,H,W] or [C,D,H,W]' };

/** {@link BatchNorm} of [B,C] or [B,C,L]. */
export class BatchNorm1d extends BatchNorm {
  protected override get inputs() {
    return BATCH_NORM_1D;
  }
}

/** {@link BatchNorm} of [B,C,H,W]. */
export class BatchNorm2d extends BatchNorm {
  protected override get inputs() {
    return BATCH_NORM_2D;
  }
}

/** {@link BatchNorm} of [B,C,D,H,W]. */
export class BatchNorm3d extends BatchNorm {
  protected override get inputs() {
    return BATCH_NORM_3D;
  }
}

/**
 * Normalises each channel of each sample over its spatial dimensions; with `trackRunningStats` by
 * running statistics in evaluation.
 */
export abstract class InstanceNorm extends ChannelNorm {
  constructor(channels: number, options: Given<InstanceNormOptions> = {}) {
    super(channels, withDefaults(new.target.name, INSTANCE, options));
  }

  override forward(x: Tensor): Tensor {
    const { weight, bias, runningMean, runningVar, momentum, eps } = this;
    const where = this.constructor.name;
    requireRank(where, x, this.inputs.ranks, this.inputs.layout);
    const own = this.training || runningMean === null;
    const single = x.ndim === this.inputs.ranks[0];
    const batch = single ? x.unsqueeze(0) : x;
    const spatial = batch.shape.slice(2).reduce((product, side) => product * side, 1);
    if (own) requireSeveral(where, x, spatial);
    const share = momentum ?? 0;
    const normal = torch.instanceNorm(
      batch,
      weight,
      bias,
      runningMean,
      runningVar,
      own,
      share,
      eps,
      true,
    );
    return single ? normal.squeeze(0) : normal;
  }

  protected override details(): string {
    return signature([this.channels], this.options(), INSTANCE);
  }
}

/** {@link InstanceNorm} of [B,C,L] or [C,L]. */
export class InstanceNorm1d extends InstanceNorm {
  protected override get inputs() {
    return INSTANCE_NORM_1D;
  }
}

/** {@link InstanceNorm} of [B,C,H,W] or [C,H,W]. */
export class InstanceNorm2d extends InstanceNorm {
  protected override get inputs() {
    return INSTANCE_NORM_2D;
  }
}

/** {@link InstanceNorm} of [B,C,D,H,W] or [C,D,H,W]. */
export class InstanceNorm3d extends InstanceNorm {
  protected override get inputs() {
    return INSTANCE_NORM_3D;
  }
}

/** Holds every BatchNorm at its running statistics; its affine part is still trained. */
export function freezeBatchNorm(model: Module): void {
  requireModule(model, 'nn.freezeBatchNorm');
  for (const module of model.modules()) {
    if (module instanceof BatchNorm && module.runningMean !== null) module.frozen = true;
  }
}

/**
 * Has every BatchNorm take the statistics of its batches over all processes of a group, which then must
 * run the same layers in the same order; null: each process over its own again.
 */
export function synchroniseBatchNorm(model: Module, group: StatisticsGroup | null): void {
  requireModule(model, 'nn.synchroniseBatchNorm');
  for (const module of model.modules()) {
    if (module instanceof BatchNorm) module.synchronise(group);
  }
}

/** The buffers of a model that training moves: all but the statistics of frozen BatchNorms. */
export function movingBuffers(model: Module): Tensor[] {
  requireModule(model, 'nn.movingBuffers');
  const frozen = model.modules().filter((each) => each instanceof BatchNorm && each.frozen);
  const still = new Set(frozen.flatMap((norm) => norm.buffers()));
  return model.buffers().filter((buffer) => !still.has(buffer));
}
