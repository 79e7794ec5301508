import { ArgumentError } from '../torch/errors.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { withDefaults } from '../torch/require.js';
import { Module, requireModule } from './module.js';
import { buffer, parameter } from './parameter.js';

/** Normalises over the last dimension, of `size` channels. */
export class LayerNorm extends Module {
  readonly weight: Tensor;
  readonly bias: Tensor;
  readonly eps: number;

  constructor(
    readonly size: number,
    options: { eps?: number } = {},
  ) {
    super();
    this.eps = withDefaults('LayerNorm', { eps: 1e-5 }, options).eps;
    this.weight = parameter(() => torch.ones([size]));
    this.bias = parameter(() => torch.zeros([size]));
  }

  override forward(x: Tensor): Tensor {
    return torch.layerNorm(x, [this.size], this.weight, this.bias, this.eps);
  }
}

/**
 * Normalises each channel of [B,C,H,W] over B, H, W in training, by the running statistics in
 * evaluation. `frozen` keeps it at the running statistics whatever the mode, with `weight` and
 * `bias` still trained.
 */
export class BatchNorm2d extends Module {
  readonly weight: Tensor;
  readonly bias: Tensor;
  readonly runningMean: Tensor;
  readonly runningVar: Tensor;
  readonly eps: number;
  readonly momentum: number;
  frozen: boolean;

  constructor(
    readonly channels: number,
    options: { eps?: number; momentum?: number; frozen?: boolean } = {},
  ) {
    super();
    const defaults = { eps: 1e-5, momentum: 0.1, frozen: false };
    const { eps, momentum, frozen } = withDefaults('BatchNorm2d', defaults, options);
    this.eps = eps;
    this.momentum = momentum;
    this.frozen = frozen;
    this.weight = parameter(() => torch.ones([channels]));
    this.bias = parameter(() => torch.zeros([channels]));
    this.runningMean = buffer(() => torch.zeros([channels]));
    this.runningVar = buffer(() => torch.ones([channels]));
  }

  /** Whether the statistics of the batch are used (and the running ones updated). */
  get usesBatchStatistics(): boolean {
    return this.training && !this.frozen;
  }

  /** The affine map that this layer is while it uses its running statistics: two [C]. */
  scaleAndShift(): [scale: Tensor, shift: Tensor] {
    const scale = this.weight.mul(this.runningVar.add(this.eps).rsqrt());
    return [scale, this.bias.sub(this.runningMean.mul(scale))];
  }

  override forward(x: Tensor): Tensor {
    const { weight, bias, runningMean, runningVar, momentum, eps } = this;
    const training = this.usesBatchStatistics;
    if (training && x.numel() === x.shape[1]) {
      throw new ArgumentError(
        `BatchNorm2d: found one value a channel in shape [${x.shape}], expected more to take statistics of in training: a larger batch, or eval()`,
      );
    }
    return torch.batchNorm(x, weight, bias, runningMean, runningVar, training, momentum, eps, true);
  }
}

/** Holds every BatchNorm at its running statistics; its affine part is still trained. */
export function freezeBatchNorm(model: Module): void {
  requireModule(model, 'nn.freezeBatchNorm');
  for (const module of model.modules()) {
    if (module instanceof BatchNorm2d) module.frozen = true;
  }
}

/** The buffers of a model that training moves: all but the statistics of frozen BatchNorms. */
export function movingBuffers(model: Module): Tensor[] {
  requireModule(model, 'nn.movingBuffers');
  const frozen = model.modules().filter((each) => each instanceof BatchNorm2d && each.frozen);
  const still = new Set(frozen.flatMap((norm) => norm.namedBuffers().map(([, buffer]) => buffer)));
  return model.namedBuffers().flatMap(([, buffer]) => (still.has(buffer) ? [] : [buffer]));
}
