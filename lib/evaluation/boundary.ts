import { IGNORE_LABEL } from '../data/index.js';
import type { Collectives } from '../learning/peers.js';
import { checkArguments } from '../torch/check-arguments.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import * as is from '../torch/rules.js';

/** How far inside a class its boundary reaches, as a share of the image's diagonal. */
const REACH = 0.02;

/** The IoU of the boundaries of classes (Cheng et al., 2021). */
export interface BoundaryResult {
  /** Mean over the classes that occur in labels or predictions. */
  boundaryIoU: number;
  /** Null for a class that occurs in neither. */
  classBoundaryIoU: (number | null)[];
}

/**
 * Boundary IoU (Cheng et al. 2021) over a whole set: the IoU of what of each class lies within 2 % of the
 * image's diagonal of its edge; the image's border is one. Void pixels belong to no class, in predictions
 * neither.
 */
export class BoundaryIoU {
  /** float64 [2, K]: pixels in both boundaries, and in either. */
  readonly #sums: Tensor;

  constructor(
    readonly numClasses: number,
    options: { device?: string } = {},
  ) {
    checkArguments(
      'BoundaryIoU',
      { numClasses, options },
      { numClasses: is.size, options: is.record },
    );
    const { device = 'cpu' } = options;
    const kind = { dtype: 'float64', device } as const;
    this.#sums = torch.detached(() => torch.zeros([2, numClasses], kind));
  }

  /**
   * @param classes [B, H, W] int64
   * @param labels [B, H, W] int64; 255: void
   */
  add(classes: Tensor, labels: Tensor): void {
    const [, height, width] = labels.shape as [number, number, number];
    const reach = Math.max(1, Math.round(REACH * Math.hypot(height, width)));
    torch.scope(() => {
      const said = classes.maskedFill(labels.eq(IGNORE_LABEL), IGNORE_LABEL);
      for (let k = 0; k < this.numClasses; k++)
        torch.scope(() => this.#add(k, said, labels, reach));
    });
  }

  result(): BoundaryResult {
    const values = [...(this.#sums.toTypedArray() as Float64Array)];
    const classBoundaryIoU = Array.from({ length: this.numClasses }, (_, k) => {
      const either = values[this.numClasses + k]!;
      return either === 0 ? null : values[k]! / either;
    });
    const found = classBoundaryIoU.filter((iou) => iou !== null);
    return {
      boundaryIoU: found.reduce((sum, iou) => sum + iou, 0) / found.length,
      classBoundaryIoU,
    };
  }

  /** Adds up what the processes that share a set have counted, each at the same time. */
  share(group: Collectives): void {
    group.allReduce(this.#sums, 'sum');
  }

  dispose(): void {
    this.#sums.dispose();
  }

  #add(k: number, said: Tensor, labels: Tensor, reach: number): void {
    const [one, other] = [said, labels].map((map) => boundaryOf(map.eq(k), reach)) as [
      Tensor,
      Tensor,
    ];
    const count = (mask: Tensor) => mask.sum().to('float64');
    const sums = this.#sums.select(1, k);
    sums.add_(torch.stack([count(one.logicalAnd(other)), count(one.logicalOr(other))]));
  }
}

/** What of masks [B, H, W] has a pixel outside them, or the image's border, no farther than `reach` a side. */
function boundaryOf(mask: Tensor, reach: number): Tensor {
  const side = 2 * reach + 1;
  // Of a box that lies within the mask all pixels count, beyond the image none.
  const inside = [1, 2].reduce((sums, dim) => boxSums(sums, dim, reach), mask.to('float32'));
  return mask.logicalAnd(inside.lt(side * side));
}

/** Sums of 2·reach + 1 neighbours along a dimension, 0 beyond the ends. */
function boxSums(values: Tensor, dim: number, reach: number): Tensor {
  const length = values.shape[dim]!;
  const around = [...values.shape];
  around[dim] = reach + 1;
  const before = torch.zeros(around, { device: values.device });
  const after = before.narrow(dim, 0, reach);
  const sums = torch.cat([before, values, after], dim).cumsum(dim);
  return sums.narrow(dim, 2 * reach + 1, length).sub(sums.narrow(dim, 0, length));
}
