import { describe, M3lError } from '../torch/errors.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { requireRank } from './check.js';
import { Module } from './module.js';

abstract class RandomDrop extends Module {
  /** @param p the probability with which something is dropped, in [0, 1]. */
  constructor(readonly p = 0.5) {
    super();
    if (!(typeof p === 'number' && p >= 0 && p <= 1)) {
      throw new M3lError(
        'M3L_NN_PROBABILITY',
        `${new.target.name}: p is ${describe(p)}, expected a probability in [0, 1].`,
      );
    }
  }

  /** Whether this layer does anything at present. */
  get active(): boolean {
    return this.training && this.p > 0;
  }

  /** Factors 0 (with probability p) or 1/(1-p), of the shape and on the device of `like`. */
  protected factors(shape: number[], like: Tensor): Tensor {
    const keep = 1 - this.p;
    const { dtype, device } = like;
    if (keep === 0) return torch.zeros(shape, { dtype, device });
    return torch.empty(shape, { dtype, device }).bernoulli_(keep).div_(keep);
  }

  abstract override forward(x: Tensor): Tensor;

  protected override details(): string {
    return String(this.p);
  }
}

/** Zeroes elements with probability p while training, and scales the rest by 1/(1-p). */
export class Dropout extends RandomDrop {
  override forward(x: Tensor): Tensor {
    return this.active ? torch.dropout(x, this.p, true) : x;
  }
}

/** Drops as `drop` does; a sample alone (of the lower rank) as a batch of one. */
function ofBatch(x: Tensor, rank: number, drop: (batch: Tensor) => Tensor): Tensor {
  return x.ndim === rank ? drop(x) : drop(x.unsqueeze(0)).squeeze(0);
}

/** As {@link Dropout}, whole channels of [B,C,L] or [C,L] at a time. */
export class Dropout1d extends RandomDrop {
  override forward(x: Tensor): Tensor {
    requireRank('Dropout1d', x, [2, 3], '[B,C,L] or [C,L]');
    if (!this.active) return x;
    return ofBatch(x, 3, (batch) => torch.featureDropout(batch, this.p, true));
  }
}

/** As {@link Dropout}, whole channels of [B,C,H,W] at a time. */
export class Dropout2d extends RandomDrop {
  /** The factor of each channel, [B,1,C], for tokens; null when nothing is dropped. */
  channelFactors(batch: number, channels: number, like: Tensor): Tensor | null {
    return this.active ? this.factors([batch, 1, channels], like) : null;
  }

  override forward(x: Tensor): Tensor {
    return this.active ? torch.featureDropout(x, this.p, true) : x;
  }
}

/** As {@link Dropout}, whole channels of [B,C,D,H,W] or [C,D,H,W] at a time. */
export class Dropout3d extends RandomDrop {
  override forward(x: Tensor): Tensor {
    requireRank('Dropout3d', x, [4, 5], '[B,C,D,H,W] or [C,D,H,W]');
    if (!this.active) return x;
    return ofBatch(x, 5, (batch) => torch.featureDropout(batch, this.p, true));
  }
}

/** For SELU: sets elements to its negative limit with probability p, and keeps mean and variance. */
export class AlphaDropout extends RandomDrop {
  override forward(x: Tensor): Tensor {
    return this.active ? torch.alphaDropout(x, this.p, true) : x;
  }
}

/** As {@link AlphaDropout}, whole channels of [B,C,…] at a time. */
export class FeatureAlphaDropout extends RandomDrop {
  override forward(x: Tensor): Tensor {
    return this.active ? torch.featureAlphaDropout(x, this.p, true) : x;
  }
}

/** Stochastic depth: as {@link Dropout}, whole samples (first dimension) at a time. */
export class DropPath extends RandomDrop {
  override forward(x: Tensor): Tensor {
    return this.active ? x.mul(this.#factorsFor(x)) : x;
  }

  /** x + forward(branch), in one pass. */
  residual(x: Tensor, branch: Tensor): Tensor {
    return this.active ? torch.addcmul(x, branch, this.#factorsFor(x)) : x.add(branch);
  }

  /** The factor of each sample of x, [x.shape[0]]; null when nothing is dropped. */
  sampleFactors(x: Tensor): Tensor | null {
    return this.active ? this.factors([x.shape[0]!], x) : null;
  }

  #factorsFor(x: Tensor): Tensor {
    return this.factors([x.shape[0]!, ...Array<number>(x.ndim - 1).fill(1)], x);
  }
}
