import { ArgumentError } from '../torch/errors.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { withDefaults } from '../torch/require.js';
import { requireChoice, requireCounts, requireDivisor, requireSizes } from './check.js';
import { expanded, type Sizes } from './functional/shape.js';
import { fanIn_ } from './init.js';
import type { Given } from './layer.js';
import { Module } from './module.js';
import { parameter } from './parameter.js';
import { signature } from './tree.js';

/** What a convolution and its transpose both take by name. */
export interface SharedConvOptions {
  stride: Sizes;
  dilation: Sizes;
  groups: number;
  bias: boolean;
}

/** Every option of a convolution. */
export interface AllConvOptions extends SharedConvOptions {
  /** `valid`: none; `same`: as much as keeps the size (with stride 1). */
  padding: Sizes | 'same' | 'valid';
  paddingMode: 'zeros' | 'reflect' | 'replicate' | 'circular';
}
/** What a convolution takes by name. */
export type ConvOptions = Given<AllConvOptions>;

/** Every option of a transposed convolution. */
export interface AllConvTransposeOptions extends SharedConvOptions {
  padding: Sizes;
  /** Added to one side of the result. */
  outputPadding: Sizes;
}
/** What a transposed convolution takes by name. */
export type ConvTransposeOptions = Given<AllConvTransposeOptions>;

const SHARED = { stride: 1, padding: 0, dilation: 1, groups: 1, bias: true } as const;
const CONV: AllConvOptions = { ...SHARED, paddingMode: 'zeros' };
const TRANSPOSE: AllConvTransposeOptions = { ...SHARED, outputPadding: 0 };
const MODES = ['zeros', 'reflect', 'replicate', 'circular'];

/** What a convolution and its transpose have in common; sizes are lists of one for each dimension. */
abstract class Convolution extends Module {
  abstract readonly weight: Tensor;
  abstract readonly bias: Tensor | null;
  readonly kernel: readonly number[];
  readonly stride: readonly number[];
  readonly dilation: readonly number[];
  readonly groups: number;

  constructor(
    readonly inChannels: number,
    readonly outChannels: number,
    kernel: Sizes,
    options: SharedConvOptions,
  ) {
    super();
    const where = new.target.name;
    const { stride, dilation, groups } = options;
    requireCounts(where, { inChannels, outChannels }, 0);
    requireCounts(where, { groups });
    requireDivisor(where, groups, inChannels);
    requireDivisor(where, groups, outChannels);
    this.kernel = this.sizes('kernel', kernel);
    this.stride = this.sizes('stride', stride);
    this.dilation = this.sizes('dilation', dilation);
    this.groups = groups;
  }

  /** Spatial dimensions. */
  protected abstract get dims(): 1 | 2 | 3;

  protected sizes(name: string, sizes: Sizes, least = 1): readonly number[] {
    requireSizes(this.constructor.name, name, sizes, this.dims, least);
    return expanded(sizes, this.dims);
  }

  protected createParameters(
    shape: number[],
    bias: boolean,
  ): [weight: Tensor, bias: Tensor | null] {
    const fanIn = shape.slice(1).reduce((product, size) => product * size, 1);
    return [
      parameter(() => fanIn_(torch.empty(shape), fanIn)),
      bias ? parameter(() => fanIn_(torch.empty([this.outChannels]), fanIn)) : null,
    ];
  }

  /** How it is printed: lists of one number as the number. */
  protected signature(options: object, defaults: object): string {
    const short = (value: unknown) =>
      Array.isArray(value) && new Set(value).size === 1 ? value[0] : value;
    const { inChannels, outChannels, kernel, stride, dilation, groups } = this;
    const all = { stride, ...options, dilation, groups, bias: this.bias !== null };
    const shortened = Object.entries(all).map(([name, value]) => [name, short(value)]);
    const given = Object.fromEntries(shortened);
    return signature([inChannels, outChannels, short(kernel)], given, defaults);
  }
}

abstract class Conv extends Convolution {
  readonly weight: Tensor;
  readonly bias: Tensor | null;
  readonly padding: readonly number[] | 'same' | 'valid';
  readonly paddingMode: AllConvOptions['paddingMode'];

  constructor(inChannels: number, outChannels: number, kernel: Sizes, options: ConvOptions = {}) {
    const where = new.target.name;
    const known = withDefaults(where, CONV, options);
    super(inChannels, outChannels, kernel, known);
    const { padding, paddingMode, groups, bias } = known;
    requireChoice(where, 'paddingMode', paddingMode, MODES);
    if (typeof padding === 'string') {
      requireChoice(where, 'padding', padding, ['same', 'valid']);
      if (padding === 'same' && this.stride.some((step) => step > 1)) {
        throw new ArgumentError(
          `${where}: found the padding 'same' with the stride [${this.stride}], expected stride 1 for it: give the padding as numbers`,
        );
      }
    }
    this.padding = typeof padding === 'string' ? padding : this.sizes('padding', padding, 0);
    this.paddingMode = paddingMode;
    const shape = [outChannels, inChannels / groups, ...this.kernel];
    [this.weight, this.bias] = this.createParameters(shape, bias);
  }

  protected abstract get operator(): typeof torch.conv2d;

  override forward(x: Tensor): Tensor {
    const { weight, bias, stride, padding, dilation, groups, paddingMode } = this;
    if (paddingMode !== 'zeros') {
      const padded = torch.pad(x, this.#sides(), paddingMode);
      return this.operator(padded, weight, bias, stride, 0, dilation, groups);
    }
    // One call for both overloads: the operator tells them by the padding's type.
    return this.operator(x, weight, bias, stride, padding as Sizes, dilation, groups);
  }

  /** What torch.pad takes: [left, right] of the last dimension first. */
  #sides(): number[] {
    const { padding, kernel, dilation } = this;
    if (padding === 'valid') return Array<number>(2 * this.dims).fill(0);
    if (padding !== 'same') return [...padding].reverse().flatMap((side) => [side, side]);
    const totals = kernel.map((side, i) => dilation[i]! * (side - 1));
    return totals.reverse().flatMap((sum) => [Math.floor(sum / 2), sum - Math.floor(sum / 2)]);
  }

  protected override details(): string {
    return this.signature({ padding: this.padding, paddingMode: this.paddingMode }, CONV);
  }
}

/** One-dimensional convolution, [B,in,L] -> [B,out,L']. */
export class Conv1d extends Conv {
  protected override get dims() {
    return 1 as const;
  }
  protected override get operator() {
    return torch.conv1d;
  }
}

/** Two-dimensional convolution, [B,in,H,W] -> [B,out,H',W']. */
export class Conv2d extends Conv {
  protected override get dims() {
    return 2 as const;
  }
  protected override get operator() {
    return torch.conv2d;
  }
}

/** Three-dimensional convolution, [B,in,D,H,W] -> [B,out,D',H',W']. */
export class Conv3d extends Conv {
  protected override get dims() {
    return 3 as const;
  }
  protected override get operator() {
    return torch.conv3d;
  }
}

abstract class ConvTranspose extends Convolution {
  readonly weight: Tensor;
  readonly bias: Tensor | null;
  readonly padding: readonly number[];
  readonly outputPadding: readonly number[];

  constructor(
    inChannels: number,
    outChannels: number,
    kernel: Sizes,
    options: ConvTransposeOptions = {},
  ) {
    const known = withDefaults(new.target.name, TRANSPOSE, options);
    super(inChannels, outChannels, kernel, known);
    this.padding = this.sizes('padding', known.padding, 0);
    this.outputPadding = this.sizes('outputPadding', known.outputPadding, 0);
    const shape = [inChannels, outChannels / known.groups, ...this.kernel];
    [this.weight, this.bias] = this.createParameters(shape, known.bias);
  }

  protected abstract get operator(): typeof torch.convTranspose2d;

  /** @param outputSize of the spatial dimensions, where the stride allows several. */
  override forward(x: Tensor, outputSize?: Sizes): Tensor {
    const { weight, bias, stride, padding, groups, dilation } = this;
    const extra = outputSize === undefined ? this.outputPadding : this.#extra(x, outputSize);
    return this.operator(x, weight, bias, stride, padding, extra, groups, dilation);
  }

  /** The output padding that gives the size asked for. */
  #extra(x: Tensor, outputSize: Sizes): number[] {
    const where = this.constructor.name;
    requireSizes(where, 'outputSize', outputSize, this.dims);
    const { kernel, stride, padding, dilation } = this;
    const sides = x.shape.slice(-this.dims);
    const least = sides.map(
      (side, i) => (side - 1) * stride[i]! - 2 * padding[i]! + dilation[i]! * (kernel[i]! - 1) + 1,
    );
    const wanted = expanded(outputSize, this.dims);
    if (wanted.some((side, i) => side < least[i]! || side >= least[i]! + stride[i]!)) {
      const most = least.map((side, i) => side + stride[i]! - 1);
      throw new ArgumentError(
        `${where}: found the outputSize [${wanted}], expected one from [${least}] to [${most}]`,
      );
    }
    return wanted.map((side, i) => side - least[i]!);
  }

  protected override details(): string {
    const { padding, outputPadding } = this;
    return this.signature({ padding, outputPadding }, TRANSPOSE);
  }
}

/** The gradient of {@link Conv1d} as a layer: [B,in,L] -> [B,out,L']. */
export class ConvTranspose1d extends ConvTranspose {
  protected override get dims() {
    return 1 as const;
  }
  protected override get operator() {
    return torch.convTranspose1d;
  }
}

/** The gradient of {@link Conv2d} as a layer: [B,in,H,W] -> [B,out,H',W']. */
export class ConvTranspose2d extends ConvTranspose {
  protected override get dims() {
    return 2 as const;
  }
  protected override get operator() {
    return torch.convTranspose2d;
  }
}

/** The gradient of {@link Conv3d} as a layer: [B,in,D,H,W] -> [B,out,D',H',W']. */
export class ConvTranspose3d extends ConvTranspose {
  protected override get dims() {
    return 3 as const;
  }
  protected override get operator() {
    return torch.convTranspose3d;
  }
}
