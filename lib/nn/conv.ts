import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
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
    this.stride = options.stride ?? 1;
    this.padding = options.padding ?? 0;
    this.dilation = options.dilation ?? 1;
    this.groups = options.groups ?? 1;
    const perGroup = inChannels / this.groups;
    const fanIn = perGroup * kernel * kernel;
    this.weight = parameter(() =>
      fanIn_(torch.empty([outChannels, perGroup, kernel, kernel]), fanIn),
    );
    this.bias =
      (options.bias ?? true) ? parameter(() => fanIn_(torch.empty([outChannels]), fanIn)) : null;
  }

  override forward(x: Tensor): Tensor {
    const { stride, padding, dilation, groups } = this;
    return torch.conv2d(x, this.weight, this.bias, stride, padding, dilation, groups);
  }
}
