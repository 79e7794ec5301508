import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { Module } from './module.js';

/** The exact form, x·Φ(x) by erf. */
export class GELU extends Module {
  override forward(x: Tensor): Tensor {
    return torch.gelu(x);
  }
}

export class ReLU extends Module {
  override forward(x: Tensor): Tensor {
    return torch.relu(x);
  }
}

export class Identity extends Module {
  override forward(x: Tensor): Tensor {
    return x;
  }
}
