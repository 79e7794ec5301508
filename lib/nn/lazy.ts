/**
 * Layers that learn how many features or channels they take from their first input, or from the first state
 * dict that they load, and then are what they are named for. Until then their parameters are empty; they
 * stay the same objects, so that an optimizer may have them before.
 */
import { ArgumentError } from '../torch/errors.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { requireObject } from '../torch/require.js';
import {
  BatchNorm1d,
  BatchNorm2d,
  BatchNorm3d,
  type BatchNormOptions,
  InstanceNorm1d,
  InstanceNorm2d,
  InstanceNorm3d,
  type InstanceNormOptions,
} from './batch-norm.js';
import { requireCounts, requireDivisor, requireRank } from './check.js';
import {
  Conv1d,
  Conv2d,
  Conv3d,
  type ConvOptions,
  ConvTranspose1d,
  ConvTranspose2d,
  ConvTranspose3d,
  type ConvTransposeOptions,
} from './conv.js';
import type { Sizes } from './functional/shape.js';
import type { HookHandle } from './hooks.js';
import { fanIn_ } from './init.js';
import type { Given } from './layer.js';
import { Linear } from './linear.js';
import type { Module } from './module.js';
import type { StateDict } from './state-dict.js';

/** How a layer comes by its size. */
interface Lesson {
  /** From an input; throws where that is none for the layer. */
  ofInput(x: Tensor): number;
  /** From the tensor of its state that tells it. */
  ofState(tensor: Tensor): number;
  /** Gives the layer its parameters. */
  grow(size: number): void;
}

/** What layers that know no size yet do when they see one. */
const lessons = new WeakMap<Module, { lesson: Lesson; becomes: object; hook: HookHandle }>();

/**
 * Has `module` learn its size, and be of the class of `becomes` from then on.
 * @param telling names in a state dict, the first of which that is there tells the size
 */
function teach(
  module: Module,
  becomes: new (...args: never[]) => Module,
  telling: readonly string[],
  lesson: Lesson,
): void {
  const hook = module.registerLoadStateDictPreHook((_, state: StateDict, prefix) => {
    const found = telling.map((name) => state[prefix + name]).find((tensor) => tensor?.numel());
    if (found) learn(module, lesson.ofState(found));
  });
  lessons.set(module, { lesson, becomes: becomes.prototype as object, hook });
}

function learnFrom(module: Module, x: Tensor): void {
  const size = lessons.get(module)?.lesson.ofInput(x);
  if (size !== undefined) learn(module, size);
}

function learn(module: Module, size: number): void {
  const { lesson, becomes, hook } = lessons.get(module)!;
  lesson.grow(size);
  hook.remove();
  lessons.delete(module);
  Object.setPrototypeOf(module, becomes);
}

/** Gives an empty tensor a shape, and the values that `fill` writes. */
function grow(tensor: Tensor | null, shape: number[], fill: (empty: Tensor) => Tensor): void {
  if (tensor === null) return;
  const { dtype, device } = tensor;
  const values = () => fill(torch.empty(shape, { dtype, device }));
  torch.scope(() => torch.noGrad(() => void tensor.set_(values())));
}

/** A {@link Linear} that learns `inFeatures`. */
export class LazyLinear extends Linear {
  constructor(outFeatures: number, options: { bias?: boolean } = {}) {
    super(0, 0, options);
    requireCounts(new.target.name, { outFeatures }, 0);
    Object.assign(this, { outFeatures });
    teach(this, Linear, ['weight'], {
      ofInput: (x) => x.size(-1),
      ofState: (weight) => weight.size(-1),
      grow: (inFeatures) => {
        const fill = (empty: Tensor) => fanIn_(empty, inFeatures);
        Object.assign(this, { inFeatures });
        grow(this.weight, [outFeatures, inFeatures], fill);
        grow(this.bias, [outFeatures], fill);
      },
    });
  }

  override forward(x: Tensor): Tensor {
    learnFrom(this, x);
    return super.forward(x);
  }
}

interface ConvolutionLayer extends Module {
  readonly weight: Tensor;
  readonly bias: Tensor | null;
  readonly kernel: readonly number[];
  readonly groups: number;
  forward(x: Tensor, ...more: unknown[]): Tensor;
}

function lazyConvolution<Options, Layer>(
  becomes: new (inChannels: number, outChannels: number, kernel: Sizes, options?: Options) => Layer,
  transposed: boolean,
): new (
  outChannels: number,
  kernel: Sizes,
  options?: Options,
) => Layer {
  const Base = becomes as unknown as new (
    inChannels: number,
    outChannels: number,
    kernel: Sizes,
    options?: Options,
  ) => ConvolutionLayer;

  class LazyConvolution extends Base {
    constructor(outChannels: number, kernel: Sizes, options?: Options) {
      super(0, 0, kernel, options);
      const where = new.target.name;
      requireCounts(where, { outChannels });
      requireDivisor(where, this.groups, outChannels);
      Object.assign(this, { outChannels });
      teach(this, Base, ['weight'], {
        ofInput: (x) => channelsOf(where, x, this.kernel.length),
        ofState: (weight) => (transposed ? weight.size(0) : weight.size(1) * this.groups),
        grow: (inChannels) => {
          requireDivisor(where, this.groups, inChannels);
          const [rows, columns] = transposed
            ? [inChannels, outChannels]
            : [outChannels, inChannels];
          const shape = [rows, columns / this.groups, ...this.kernel];
          const fanIn = shape.slice(1).reduce((product, size) => product * size, 1);
          const fill = (empty: Tensor) => fanIn_(empty, fanIn);
          Object.assign(this, { inChannels });
          grow(this.weight, shape, fill);
          grow(this.bias, [outChannels], fill);
        },
      });
    }

    override forward(x: Tensor, ...more: unknown[]): Tensor {
      learnFrom(this, x);
      return super.forward(x, ...more);
    }
  }
  return LazyConvolution as unknown as new (
    outChannels: number,
    kernel: Sizes,
    options?: Options,
  ) => Layer;
}

/** Of [B,C,…] or [C,…]. */
function channelsOf(where: string, x: Tensor, spatial: number): number {
  requireRank(where, x, [spatial + 1, spatial + 2], `${spatial} dimensions after [B,C] or [C]`);
  return x.size(-1 - spatial);
}

interface NormLayer extends Module {
  readonly weight: Tensor | null;
  readonly bias: Tensor | null;
  readonly runningMean: Tensor | null;
  readonly runningVar: Tensor | null;
  forward(x: Tensor): Tensor;
}

function lazyNorm<Options, Layer>(
  becomes: new (channels: number, options?: Options) => Layer,
  ofInput: (where: string, x: Tensor) => number,
  completed: (options?: Options) => Options | undefined = (options) => options,
): new (
  options?: Options,
) => Layer {
  const Base = becomes as unknown as new (channels: number, options?: Options) => NormLayer;

  class LazyNorm extends Base {
    constructor(options?: Options) {
      super(0, completed(options));
      const where = new.target.name;
      teach(this, Base, ['weight', 'running_mean'], {
        ofInput: (x) => ofInput(where, x),
        ofState: (tensor) => tensor.size(0),
        grow: (channels) => {
          Object.assign(this, { channels });
          for (const tensor of [this.weight, this.runningVar]) {
            grow(tensor, [channels], (empty) => empty.fill_(1));
          }
          for (const tensor of [this.bias, this.runningMean]) {
            grow(tensor, [channels], (empty) => empty.zero_());
          }
        },
      });
    }

    override forward(x: Tensor): Tensor {
      learnFrom(this, x);
      return super.forward(x);
    }
  }
  return LazyNorm as unknown as new (
    options?: Options,
  ) => Layer;
}

/** Of a batch [B,C,…]. */
function secondSize(where: string, x: Tensor): number {
  if (x.ndim >= 2) return x.size(1);
  throw new ArgumentError(`${where}: found shape [${x.shape}], expected [B,C,…]`);
}

const batchNorm = <Layer>(of: new (channels: number, options?: Given<BatchNormOptions>) => Layer) =>
  lazyNorm(of, secondSize);
// As in PyTorch, their defaults are not InstanceNorm's.
const instanceNorm = <Layer>(
  of: new (channels: number, options?: Given<InstanceNormOptions>) => Layer,
  spatial: number,
) =>
  lazyNorm(
    of,
    (where, x) => channelsOf(where, x, spatial),
    (options: Given<InstanceNormOptions> = {}) => {
      requireObject(options, 'LazyInstanceNorm', 'options');
      const { affine = true, trackRunningStats = true, ...others } = options;
      return { affine, trackRunningStats, ...others };
    },
  );

/** A {@link Conv1d} that learns `inChannels`. */
export class LazyConv1d extends lazyConvolution<ConvOptions, Conv1d>(Conv1d, false) {}
/** A {@link Conv2d} that learns `inChannels`. */
export class LazyConv2d extends lazyConvolution<ConvOptions, Conv2d>(Conv2d, false) {}
/** A {@link Conv3d} that learns `inChannels`. */
export class LazyConv3d extends lazyConvolution<ConvOptions, Conv3d>(Conv3d, false) {}
type Transpose = ConvTransposeOptions;
/** A {@link ConvTranspose1d} that learns `inChannels`. */
export class LazyConvTranspose1d extends lazyConvolution<Transpose, ConvTranspose1d>(
  ConvTranspose1d,
  true,
) {}
/** A {@link ConvTranspose2d} that learns `inChannels`. */
export class LazyConvTranspose2d extends lazyConvolution<Transpose, ConvTranspose2d>(
  ConvTranspose2d,
  true,
) {}
/** A {@link ConvTranspose3d} that learns `inChannels`. */
export class LazyConvTranspose3d extends lazyConvolution<Transpose, ConvTranspose3d>(
  ConvTranspose3d,
  true,
) {}
/** A {@link BatchNorm1d} that learns `channels`. */
export class LazyBatchNorm1d extends batchNorm(BatchNorm1d) {}
/** A {@link BatchNorm2d} that learns `channels`. */
export class LazyBatchNorm2d extends batchNorm(BatchNorm2d) {}
/** A {@link BatchNorm3d} that learns `channels`. */
export class LazyBatchNorm3d extends batchNorm(BatchNorm3d) {}
/** An {@link InstanceNorm1d} that learns `channels`; affine and with running statistics by default. */
export class LazyInstanceNorm1d extends instanceNorm(InstanceNorm1d, 1) {}
/** An {@link InstanceNorm2d} that learns `channels`; affine and with running statistics by default. */
export class LazyInstanceNorm2d extends instanceNorm(InstanceNorm2d, 2) {}
/** An {@link InstanceNorm3d} that learns `channels`; affine and with running statistics by default. */
export class LazyInstanceNorm3d extends instanceNorm(InstanceNorm3d, 3) {}
