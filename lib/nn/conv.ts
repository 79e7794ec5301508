import { ArgumentError, describe } from '../torch/errors.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { requireIntegers, withDefaults } from '../torch/require.js';
import { expanded, type Sizes } from './functional/shape.js';
import { fanIn_ } from './init.js';
import type { Given } from './layer.js';
import { Module } from './module.js';
import { parameter } from './parameter.js';

interface SharedOptions {
  stride: Sizes;
  dilation: Sizes;
  groups: number;
  bias: boolean;
}

interface Options extends SharedOptions {
  /** `valid`: none; `same`: as much as keeps the size (with stride 1). */
  padding: Sizes | 'same' | 'valid';
  paddingMode: 'zeros' | 'reflect' | 'replicate' | 'circular';
}
export type ConvOptions = Given<Options>;
export type Conv2dOptions = ConvOptions;

interface TransposeOptions extends SharedOptions {
  padding: Sizes;
  /** Added to one side of the result. */
  outputPadding: Sizes;
}
export type ConvTransposeOptions = Given<TransposeOptions>;

const SHARED = { stride: 1, padding: 0, dilation: 1, groups: 1, bias: true } as const;
const CONV: Options = { ...SHARED, paddingMode: 'zeros' };
const TRANSPOSE: TransposeOptions = { ...SHARED, outputPadding: 0 };
const MODES: string[] = ['zeros', 'reflect', 'replicate', 'circular'];

function weights(shape: number[], bias: number | null): [weight: Tensor, bias: Tensor | null] {
  const fanIn = shape.slice(1).reduce((product, size) => product * size, 1);
  return [
    parameter(() => fanIn_(torch.empty(shape), fanIn)),
    bias === null ? null : parameter(() => fanIn_(torch.empty([bias]), fanIn)),
  ];
}

function requireGroups(where: string, inChannels: number, outChannels: number, groups: number) {
  requireIntegers({ inChannels, outChannels, groups }, where);
  if (groups > 0 && inChannels % groups === 0 && outChannels % groups === 0) return;
  throw new ArgumentError(
    `${where}: found ${groups} groups of ${inChannels} channels in and ${outChannels} out, expected a divisor of both`,
  );
}

abstract class Conv extends Module {
  readonly weight: Tensor;
  readonly bias: Tensor | null;
  readonly stride: Sizes;
  readonly padding: Sizes | 'same' | 'valid';
  readonly dilation: Sizes;
  readonly groups: number;
  readonly paddingMode: string;

  constructor(
    readonly inChannels: number,
    readonly outChannels: number,
    readonly kernel: Sizes,
    options: ConvOptions = {},
  ) {
    super();
    const where = new.target.name;
    const known = withDefaults(where, CONV, options);
    requireGroups(where, inChannels, outChannels, known.groups);
    if (!MODES.includes(known.paddingMode)) {
      throw new ArgumentError(
        `${where}: found the padding mode ${describe(known.paddingMode)}, expected one of ${MODES.join(', ')}`,
      );
    }
    const sides = expanded(kernel, this.dims());
    for (const side of sides) requireIntegers({ kernel: side }, where);
    this.stride = known.stride;
    this.padding = known.padding;
    this.dilation = known.dilation;
    this.groups = known.groups;
    this.paddingMode = known.paddingMode;
    const shape = [outChannels, inChannels / known.groups, ...sides];
    [this.weight, this.bias] = weights(shape, known.bias ? outChannels : null);
  }

  protected abstract dims(): 1 | 2 | 3;
  protected abstract get operator(): typeof torch.conv2d;

  override forward(x: Tensor): Tensor {
    const { weight, bias, stride, padding, dilation, groups, paddingMode } = this;
    const zeros = paddingMode === 'zeros';
    const padded = zeros ? x : torch.pad(x, this.#sides(), paddingMode);
    // One call for both: which of the overloads it is, the type of the padding says.
    const amount = (zeros ? padding : 0) as Sizes;
    return this.operator(padded, weight, bias, stride, amount, dilation, groups);
  }

  /** What torch.pad takes: [left, right] of the last dimension first. */
  #sides(): number[] {
    if (this.padding === 'valid') return Array<number>(2 * this.dims()).fill(0);
    if (this.padding !== 'same') {
      return [...expanded(this.padding, this.dims())].reverse().flatMap((side) => [side, side]);
    }
    const dilation = expanded(this.dilation, this.dims());
    const totals = expanded(this.kernel, this.dims()).map((side, i) => dilation[i]! * (side - 1));
    return totals.reverse().flatMap((sum) => [Math.floor(sum / 2), sum - Math.floor(sum / 2)]);
  }
}

/** One-dimensional convolution, [B,in,L] -> [B,out,L']. */
export class Conv1d extends Conv {
  protected override dims(): 1 {
    return 1;
  }
  protected override get operator() {
    return torch.conv1d;
  }
}

/** Two-dimensional convolution, [B,in,H,W] -> [B,out,H',W']. */
export class Conv2d extends Conv {
  protected override dims(): 2 {
    return 2;
  }
  protected override get operator() {
    return torch.conv2d;
  }
}

/** Three-dimensional convolution, [B,in,D,H,W] -> [B,out,D',H',W']. */
export class Conv3d extends Conv {
  protected override dims(): 3 {
    return 3;
  }
  protected override get operator() {
    return torch.conv3d;
  }
}

abstract class ConvTranspose extends Module {
  readonly weight: Tensor;
  readonly bias: Tensor | null;
  readonly stride: Sizes;
  readonly padding: Sizes;
  readonly outputPadding: Sizes;
  readonly dilation: Sizes;
  readonly groups: number;

  constructor(
    readonly inChannels: number,
    readonly outChannels: number,
    readonly kernel: Sizes,
    options: ConvTransposeOptions = {},
  ) {
    super();
    const where = new.target.name;
    const known = withDefaults(where, TRANSPOSE, options);
    requireGroups(where, inChannels, outChannels, known.groups);
    const sides = expanded(kernel, this.dims());
    for (const side of sides) requireIntegers({ kernel: side }, where);
    this.stride = known.stride;
    this.padding = known.padding;
    this.outputPadding = known.outputPadding;
    this.dilation = known.dilation;
    this.groups = known.groups;
    const shape = [inChannels, outChannels / known.groups, ...sides];
    [this.weight, this.bias] = weights(shape, known.bias ? outChannels : null);
  }

  protected abstract dims(): 1 | 2 | 3;
  protected abstract get operator(): typeof torch.convTranspose2d;

  override forward(x: Tensor): Tensor {
    const { weight, bias, stride, padding, outputPadding, groups, dilation } = this;
    return this.operator(x, weight, bias, stride, padding, outputPadding, groups, dilation);
  }
}

/** The gradient of {@link Conv1d} as a layer: [B,in,L] -> [B,out,L']. */
export class ConvTranspose1d extends ConvTranspose {
  protected override dims(): 1 {
    return 1;
  }
  protected override get operator() {
    return torch.convTranspose1d;
  }
}

/** The gradient of {@link Conv2d} as a layer: [B,in,H,W] -> [B,out,H',W']. */
export class ConvTranspose2d extends ConvTranspose {
  protected override dims(): 2 {
    return 2;
  }
  protected override get operator() {
    return torch.convTranspose2d;
  }
}

/** The gradient of {@link Conv3d} as a layer: [B,in,D,H,W] -> [B,out,D',H',W']. */
export class ConvTranspose3d extends ConvTranspose {
  protected override dims(): 3 {
    return 3;
  }
  protected override get operator() {
    return torch.convTranspose3d;
  }
}
