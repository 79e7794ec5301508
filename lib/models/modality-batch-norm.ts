import * as nn from '../nn/index.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';

/** One BatchNorm per modality, in the state dict `bn_0`, `bn_1`, … */
export class ModalityBatchNorm extends nn.ModuleDict<nn.BatchNorm2d> {
  constructor(channels: number, options: { modalities: number; frozen: boolean }) {
    const { modalities, frozen } = options;
    const norms = Array.from(
      { length: modalities },
      () => new nn.BatchNorm2d(channels, { frozen }),
    );
    super(Object.fromEntries(norms.map((norm, m) => [`bn_${m}`, norm])));
  }

  /** By modality. */
  get norms(): nn.BatchNorm2d[] {
    return this.values();
  }

  /** Of the batch [M·B, C, H, W], modality by modality. */
  override forward(x: Tensor): Tensor {
    const { norms } = this;
    if (norms.length === 1) return norms[0]!.forward(x);
    const streams = x.chunk(norms.length, 0);
    return torch.cat(
      norms.map((norm, m) => norm.forward(streams[m]!)),
      0,
    );
  }
}
