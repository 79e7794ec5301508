import type { SegmentationModel } from '../models/index.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { freezeBatchNorm } from './batch-norm.js';

/** a_t = min(1 − 1/(t + 1), decay), t from 0: the first update copies the student. */
export function emaFactor(iteration: number, decay = 0.99): number {
  return Math.min(1 - 1 / (iteration + 1), decay);
}

/**
 * The mean teacher: a model whose parameters are the exponential moving average of the student's
 * (m3l.md section 5). It starts as a copy and never takes a gradient.
 */
export class EmaTeacher {
  readonly #parameters: [Tensor[], Tensor[]];
  readonly #averagedBuffers: [Tensor[], Tensor[]];
  readonly #copiedBuffers: [Tensor, Tensor][];

  /**
   * @param model a model of the student's architecture; its weights become the student's
   * @param options `mode`: whether dropout and drop-path act while it labels; `decay`: the EMA
   *   factor's upper limit; `freezeBatchNorm`: false lets the buffers follow the average too
   */
  constructor(
    readonly model: SegmentationModel,
    student: SegmentationModel,
    readonly options: { mode: 'eval' | 'train'; decay: number; freezeBatchNorm: boolean },
  ) {
    torch.scope(() => void model.loadStateDict(student.stateDict()));
    model.requiresGrad_(false);
    model.train(options.mode === 'train');
    // The teacher never gathers statistics itself: they follow the student's.
    freezeBatchNorm(model);
    this.#parameters = [model.parameters(), student.parameters()];
    const ours = model.namedBuffers().map(([, buffer]) => buffer);
    const theirs = student.namedBuffers().map(([, buffer]) => buffer);
    const isFloat = (buffer: Tensor) => buffer.dtype.startsWith('float');
    this.#averagedBuffers = [ours.filter(isFloat), theirs.filter(isFloat)];
    this.#copiedBuffers = ours.flatMap((buffer, i) =>
      isFloat(buffer) ? [] : [[buffer, theirs[i]!] as [Tensor, Tensor]],
    );
  }

  /** teacher ← a·teacher + (1 − a)·student after optimiser step `iteration`; returns a. */
  update(iteration: number): number {
    const factor = emaFactor(iteration, this.options.decay);
    torch.noGrad(() => {
      torch._foreachLerp_(...this.#parameters, 1 - factor);
      if (this.options.freezeBatchNorm) return;
      if (this.#averagedBuffers[0].length > 0) {
        torch._foreachLerp_(...this.#averagedBuffers, 1 - factor);
      }
      for (const [ours, theirs] of this.#copiedBuffers) ours.copy_(theirs);
    });
    return factor;
  }
}
