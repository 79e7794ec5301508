import type { Tensor } from '../torch/index.js';
import { withDefaults } from '../torch/require.js';
import * as F from './functional/pooling.js';
import type { Sizes } from './functional/shape.js';
import * as U from './functional/unpooling.js';
import { type Check, type Given, layerWith, type UnaryLayer } from './layer.js';
import { Module } from './module.js';
import { holdsNoState } from './private-fields.js';
import { signature } from './tree.js';

type Kernel = [kernelSize: Sizes];
type Window = Pick<F.MaxPoolOptions, 'stride'>;
const kernel = ['kernelSize'];

const windows =
  (dims: 1 | 2 | 3): Check<[...Kernel, Window]> =>
  (where, kernelSize, options) =>
    F.requireWindow(where, dims, kernelSize, options);

type WithIndices = [values: Tensor, indices: Tensor];
type MaxPool = (x: Tensor, kernelSize: Sizes, options: Given<F.MaxPoolOptions>) => Tensor;
type MaxPoolWithIndices = (x: Tensor, kernelSize: Sizes, options: never) => WithIndices;

/** A layer of maxima. */
export interface MaxPoolLayer extends UnaryLayer<F.MaxPoolOptions> {
  /** The values, and their places (int64, in the flat spatial dimensions) for a MaxUnpool. */
  forwardWithIndices(x: Tensor): WithIndices;
}

/** A layer of the largest values, that can tell where they were. */
function largest(
  dims: 1 | 2 | 3,
  pool: MaxPool,
  withIndices: MaxPoolWithIndices,
): new (
  kernelSize: Sizes,
  options?: Given<F.MaxPoolOptions>,
) => MaxPoolLayer {
  return class Largest extends layerWith<Kernel, F.MaxPoolOptions>(
    pool,
    kernel,
    F.MAX_POOL,
    windows(dims),
  ) {
    static {
      holdsNoState(Largest);
    }

    readonly #kernelSize: Sizes;

    constructor(kernelSize: Sizes, options: Given<F.MaxPoolOptions> = {}) {
      super(kernelSize, options);
      this.#kernelSize = kernelSize;
    }

    forwardWithIndices(x: Tensor): WithIndices {
      const stride = this.options.stride ?? this.#kernelSize;
      return withIndices(x, this.#kernelSize, { ...this.options, stride } as never);
    }
  };
}

/** The largest of each window: [B,C,L] -> [B,C,L']. */
export class MaxPool1d extends largest(1, F.maxPool1d, F.maxPool1dWithIndices) {}
/** [B,C,H,W] -> [B,C,H',W']. */
export class MaxPool2d extends largest(2, F.maxPool2d, F.maxPool2dWithIndices) {}
/** [B,C,D,H,W] -> [B,C,D',H',W']. */
export class MaxPool3d extends largest(3, F.maxPool3d, F.maxPool3dWithIndices) {}

/** The mean of each window: [B,C,L] -> [B,C,L']. */
export class AvgPool1d extends layerWith<Kernel, F.AvgPool1dOptions>(
  F.avgPool1d,
  kernel,
  F.AVG_POOL_1D,
  windows(1),
) {}
/** [B,C,H,W] -> [B,C,H',W']. */
export class AvgPool2d extends layerWith<Kernel, F.AvgPoolOptions>(
  F.avgPool2d,
  kernel,
  F.AVG_POOL,
  windows(2),
) {}
/** [B,C,D,H,W] -> [B,C,D',H',W']. */
export class AvgPool3d extends layerWith<Kernel, F.AvgPoolOptions>(
  F.avgPool3d,
  kernel,
  F.AVG_POOL,
  windows(3),
) {}

type Output = [outputSize: F.OutputSize];

const adaptive = (dims: 1 | 2 | 3, apply: (x: Tensor, outputSize: F.OutputSize) => Tensor) =>
  layerWith<Output, object>(
    (x, size) => apply(x, size),
    ['outputSize'],
    {},
    (where, outputSize) => F.requireOutput(where, dims, outputSize),
  );

/** The mean of equal windows, as many as outputSize says: [B,C,L] -> [B,C,L']. */
export class AdaptiveAvgPool1d extends adaptive(1, F.adaptiveAvgPool1d) {}
/** [B,C,H,W] -> [B,C,H',W']. */
export class AdaptiveAvgPool2d extends adaptive(2, F.adaptiveAvgPool2d) {}
/** [B,C,D,H,W] -> [B,C,D',H',W']. */
export class AdaptiveAvgPool3d extends adaptive(3, F.adaptiveAvgPool3d) {}
/** The largest of equal windows, as many as outputSize says: [B,C,L] -> [B,C,L']. */
export class AdaptiveMaxPool1d extends adaptive(1, F.adaptiveMaxPool1d) {}
/** [B,C,H,W] -> [B,C,H',W']. */
export class AdaptiveMaxPool2d extends adaptive(2, F.adaptiveMaxPool2d) {}
/** [B,C,D,H,W] -> [B,C,D',H',W']. */
export class AdaptiveMaxPool3d extends adaptive(3, F.adaptiveMaxPool3d) {}

type Norm = [normType: number, kernelSize: Sizes];
const norm = ['normType', 'kernelSize'];
const norms =
  (dims: 1 | 2 | 3): Check<[...Norm, Window]> =>
  (where, _, kernelSize, options) =>
    F.requireWindow(where, dims, kernelSize, options);

/** The p-norm of each window: [B,C,L] -> [B,C,L']. */
export class LPPool1d extends layerWith<Norm, F.LPPoolOptions>(
  F.lpPool1d,
  norm,
  F.LP_POOL,
  norms(1),
) {}
/** [B,C,H,W] -> [B,C,H',W']. */
export class LPPool2d extends layerWith<Norm, F.LPPoolOptions>(
  F.lpPool2d,
  norm,
  F.LP_POOL,
  norms(2),
) {}
/** [B,C,D,H,W] -> [B,C,D',H',W']. */
export class LPPool3d extends layerWith<Norm, F.LPPoolOptions>(
  F.lpPool3d,
  norm,
  F.LP_POOL,
  norms(3),
) {}

/** The largest of windows at random places (Graham, 2014): [B,C,H,W] -> [B,C,H',W']. */
export class FractionalMaxPool2d extends layerWith<Kernel, F.FractionalOptions>(
  F.fractionalMaxPool2d,
  kernel,
  F.FRACTIONAL,
  (where, kernelSize, options) => F.requireFraction(where, 2, kernelSize, options),
) {}
/** [B,C,D,H,W] -> [B,C,D',H',W']. */
export class FractionalMaxPool3d extends layerWith<Kernel, F.FractionalOptions>(
  F.fractionalMaxPool3d,
  kernel,
  F.FRACTIONAL,
  (where, kernelSize, options) => F.requireFraction(where, 3, kernelSize, options),
) {}

type UnpoolOptions = Omit<U.UnpoolOptions, 'outputSize'>;
const { outputSize: _, ...UNPOOL } = U.UNPOOL;

abstract class MaxUnpool extends Module {
  readonly options: UnpoolOptions;

  constructor(
    dims: 1 | 2 | 3,
    readonly kernelSize: Sizes,
    options: Given<UnpoolOptions>,
  ) {
    super();
    this.options = withDefaults(new.target.name, UNPOOL, options);
    F.requireWindow(new.target.name, dims, kernelSize, this.options);
  }

  protected abstract get unpool(): typeof U.maxUnpool2d;

  /** @param indices as `forwardWithIndices` of a max-pooling gives them. */
  override forward(x: Tensor, indices: Tensor, outputSize: Sizes | null = null): Tensor {
    return this.unpool(x, indices, this.kernelSize, { ...this.options, outputSize });
  }

  protected override details(): string {
    return signature([this.kernelSize], this.options, UNPOOL);
  }
}

/** The inverse of {@link MaxPool1d}, 0 for what was not the largest: [B,C,L'] -> [B,C,L]. */
export class MaxUnpool1d extends MaxUnpool {
  constructor(kernelSize: Sizes, options: Given<UnpoolOptions> = {}) {
    super(1, kernelSize, options);
  }
  protected override get unpool() {
    return U.maxUnpool1d;
  }
}

/** The inverse of {@link MaxPool2d}, 0 for what was not the largest: [B,C,H',W'] -> [B,C,H,W]. */
export class MaxUnpool2d extends MaxUnpool {
  constructor(kernelSize: Sizes, options: Given<UnpoolOptions> = {}) {
    super(2, kernelSize, options);
  }
  protected override get unpool() {
    return U.maxUnpool2d;
  }
}

/** The inverse of {@link MaxPool3d}, 0 for what was not the largest: [B,C,D',H',W'] -> [B,C,D,H,W]. */
export class MaxUnpool3d extends MaxUnpool {
  constructor(kernelSize: Sizes, options: Given<UnpoolOptions> = {}) {
    super(3, kernelSize, options);
  }
  protected override get unpool() {
    return U.maxUnpool3d;
  }
}
