import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { withDefaults } from '../torch/require.js';
import { LOCAL_RESPONSE, localResponseNorm } from './functional/normalization.js';
import { layerWith } from './layer.js';
import { Module } from './module.js';
import { parameter } from './parameter.js';

const ones = (shape: readonly number[]) => parameter(() => torch.ones([...shape]));
const zeros = (shape: readonly number[]) => parameter(() => torch.zeros([...shape]));

/** Normalises the channels of [B,C,…] in groups, for each sample. */
export class GroupNorm extends Module {
  readonly weight: Tensor | null;
  readonly bias: Tensor | null;
  readonly eps: number;

  constructor(
    readonly groups: number,
    readonly channels: number,
    options: { eps?: number; affine?: boolean } = {},
  ) {
    super();
    const { eps, affine } = withDefaults('GroupNorm', { eps: 1e-5, affine: true }, options);
    this.eps = eps;
    this.weight = affine ? ones([channels]) : null;
    this.bias = affine ? zeros([channels]) : null;
  }

  override forward(x: Tensor): Tensor {
    return torch.groupNorm(x, this.groups, this.weight, this.bias, this.eps);
  }
}

/** x over the root of its mean square, over the last dimensions: those of `shape`. */
export class RMSNorm extends Module {
  readonly weight: Tensor | null;
  readonly shape: readonly number[];
  readonly eps: number | null;

  constructor(
    shape: torch.NumberList,
    options: { eps?: number | null; elementwiseAffine?: boolean } = {},
  ) {
    super();
    const defaults: { eps: number | null; elementwiseAffine: boolean } = {
      eps: null,
      elementwiseAffine: true,
    };
    const { eps, elementwiseAffine } = withDefaults('RMSNorm', defaults, options);
    this.shape = typeof shape === 'number' ? [shape] : shape;
    this.eps = eps;
    this.weight = elementwiseAffine ? ones(this.shape) : null;
  }

  override forward(x: Tensor): Tensor {
    return torch.rmsNorm(x, this.shape, this.weight, this.eps);
  }
}

/** Divides by a power of the mean square over `size` neighbouring channels of [B,C,…]. */
export class LocalResponseNorm extends layerWith<[size: number], typeof LOCAL_RESPONSE>(
  localResponseNorm,
  ['size'],
  LOCAL_RESPONSE,
) {}
