import * as nn from '../nn/index.js';
import type { Tensor } from '../torch/index.js';

/** A layer whose weights all modalities share; in the state dict under `module`, as the authors have it. */
export class SharedLayer<T extends nn.Layer> extends nn.Module {
  constructor(readonly module: T) {
    super();
  }

  override forward(x: Tensor): Tensor {
    return this.module.forward(x);
  }
}
