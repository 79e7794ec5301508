import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { requireIntegers, withDefaults } from '../torch/require.js';
import { fanIn_ } from './init.js';
import { Module, parameter } from './module.js';

export interface Conv2dOptions {
  stride?: number;
  padding?: number;
  dilation?: number;
  groups?: number;
  bias?: boolean;
}

/** Two-dimensional convolution, [B,in,H,W] -> [B,out,H',W'], with a square kernel. */
export class Conv2d extends Module {
  readonly weight: Tensor;
  readonly bias: Tensor | null;
  readonly stride: number;
  readonly padding: number;
  readonly dilation: number;
  readonly groups: number;

  constructor(
    readonly inChannels: number,
    readonly outChannels: number,
    readonly kernel: number,
    options: Conv2dOptions = {},
  ) {
    super();
    const defaults = { stride: 1, padding: 0, dilation: 1, groups: 1, bias: true };
    const { stride, padding, dilation, groups, bias } = withDefaults('Conv2d', defaults, options);
    requireIntegers({ inChannels, outChannels, kernel, groups }, 'Conv2d');
    this.stride = stride;
    this.padding = padding;
    this.dilation = dilation;
    this.groups = groups;
    const perGroup = inChannels / this.groups;
    const fanIn = perGroup * kernel * kernel;
    this.weight = parameter(() =>
      fanIn_(torch.empty([outChannels, perGroup, kernel, kernel]), fanIn),
    );
    this.bias = bias ? parameter(() => fanIn_(torch.empty([outChannels]), fanIn)) : null;
  }

  override forward(x: Tensor): Tensor {
    const { stride, padding, dilation, groups } = this;
    return torch.conv2d(x, this.weight, this.bias, stride, padding, dilation, groups);
  }
}
