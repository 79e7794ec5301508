import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { withDefaults } from '../torch/require.js';
import { requireCounts, requireDivisor, requireNumbers } from './check.js';
import { LOCAL_RESPONSE, localResponseNorm } from './functional/normalization.js';
import { type Given, layerWith } from './layer.js';
import { Module } from './module.js';
import { parameter } from './parameter.js';
import { signature } from './tree.js';

const ones = (shape: readonly number[]) => parameter(() => torch.ones([...shape]));
const zeros = (shape: readonly number[]) => parameter(() => torch.zeros([...shape]));

/** The sizes of the last dimensions, which are normalised over. */
function shapeOf(where: string, size: torch.NumberList): readonly number[] {
  const shape: readonly number[] = Array.isArray(size) ? [...size] : [size as number];
  requireCounts(where, Object.fromEntries(shape.map((side, i) => [`dimension ${i}`, side])), 0);
  return shape;
}

interface LayerNormOptions {
  eps: number;
  elementwiseAffine: boolean;
  bias: boolean;
}
const LAYER_NORM: LayerNormOptions = { eps: 1e-5, elementwiseAffine: true, bias: true };

/** Normalises over the last dimensions, whose size (or sizes, as a list) is given. */
export class LayerNorm extends Module {
  /** [...size]; null without `elementwiseAffine`. */
  readonly weight: Tensor | null;
  readonly bias: Tensor | null;
  readonly eps: number;
  readonly shape: readonly number[];

  constructor(size: torch.NumberList, options: Given<LayerNormOptions> = {}) {
    super();
    const known = withDefaults('LayerNorm', LAYER_NORM, options);
    requireNumbers('LayerNorm', { eps: known.eps }, 0);
    this.eps = known.eps;
    this.shape = shapeOf('LayerNorm', size);
    this.weight = known.elementwiseAffine ? ones(this.shape) : null;
    this.bias = known.elementwiseAffine && known.bias ? zeros(this.shape) : null;
  }

  override forward(x: Tensor): Tensor {
    return torch.layerNorm(x, this.shape, this.weight, this.bias, this.eps);
  }

  protected override details(): string {
    const elementwiseAffine = this.weight !== null;
    const bias = this.bias !== null || !elementwiseAffine;
    return signature([this.shape], { eps: this.eps, elementwiseAffine, bias }, LAYER_NORM);
  }
}

interface GroupNormOptions {
  eps: number;
  affine: boolean;
}
const GROUP_NORM: GroupNormOptions = { eps: 1e-5, affine: true };

/** Normalises the channels of [B,C,…] in groups, for each sample. */
export class GroupNorm extends Module {
  readonly weight: Tensor | null;
  readonly bias: Tensor | null;
  readonly eps: number;

  constructor(
    readonly groups: number,
    readonly channels: number,
    options: Given<GroupNormOptions> = {},
  ) {
    super();
    const { eps, affine } = withDefaults('GroupNorm', GROUP_NORM, options);
    requireCounts('GroupNorm', { groups, channels });
    requireDivisor('GroupNorm', groups, channels);
    requireNumbers('GroupNorm', { eps }, 0);
    this.eps = eps;
    this.weight = affine ? ones([channels]) : null;
    this.bias = affine ? zeros([channels]) : null;
  }

  override forward(x: Tensor): Tensor {
    return torch.groupNorm(x, this.groups, this.weight, this.bias, this.eps);
  }

  protected override details(): string {
    const options = { eps: this.eps, affine: this.weight !== null };
    return signature([this.groups, this.channels], options, GROUP_NORM);
  }
}

interface RMSNormOptions {
  /** Null: the smallest step of the dtype from 1 on. */
  eps: number | null;
  elementwiseAffine: boolean;
}
const RMS_NORM: RMSNormOptions = { eps: null, elementwiseAffine: true };

/** x over the root of its mean square, over the last dimensions: those of `shape`. */
export class RMSNorm extends Module {
  readonly weight: Tensor | null;
  readonly shape: readonly number[];
  readonly eps: number | null;

  constructor(shape: torch.NumberList, options: Given<RMSNormOptions> = {}) {
    super();
    const { eps, elementwiseAffine } = withDefaults('RMSNorm', RMS_NORM, options);
    if (eps !== null) requireNumbers('RMSNorm', { eps }, 0);
    this.shape = shapeOf('RMSNorm', shape);
    this.eps = eps;
    this.weight = elementwiseAffine ? ones(this.shape) : null;
  }

  override forward(x: Tensor): Tensor {
    return torch.rmsNorm(x, this.shape, this.weight, this.eps);
  }

  protected override details(): string {
    const options = { eps: this.eps, elementwiseAffine: this.weight !== null };
    return signature([this.shape], options, RMS_NORM);
  }
}

/** Divides by a power of the mean square over `size` neighbouring channels of [B,C,…]. */
export class LocalResponseNorm extends layerWith<[size: number], typeof LOCAL_RESPONSE>(
  localResponseNorm,
  ['size'],
  LOCAL_RESPONSE,
) {}
