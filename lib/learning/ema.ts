import type { SegmentationModel } from '../models/index.js';
import * as nn from '../nn/index.js';
import type { MovingAverage } from '../optim/index.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';

/** a_t = min(1 − 1/(t + 1), decay), t from 0: the first update copies the student. */
export function emaFactor(iteration: number, decay = 0.99): number {
  return Math.min(1 - 1 / (iteration + 1), decay);
}

/**
 * The mean teacher: a model whose parameters are the exponential moving average of the student's
 * (m3l.md section 5). It starts as a copy and never takes a gradient.
 */
export class EmaTeacher {
  /** The teacher's parameter of each of the student's. */
  readonly #parameters: Map<Tensor, Tensor>;
  /** Of the student, those whose average the optimiser has moved in this iteration. */
  readonly #moved = new Set<Tensor>();
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
    nn.freezeBatchNorm(model);
    const parameters = model.parameters();
    this.#parameters = new Map(student.parameters().map((theirs, i) => [theirs, parameters[i]!]));
    const ours = model.namedBuffers().map(([, buffer]) => buffer);
    const theirs = student.namedBuffers().map(([, buffer]) => buffer);
    const isFloat = (buffer: Tensor) => buffer.dtype.startsWith('float');
    this.#averagedBuffers = [ours.filter(isFloat), theirs.filter(isFloat)];
    this.#copiedBuffers = ours.flatMap((buffer, i) =>
      isFloat(buffer) ? [] : [[buffer, theirs[i]!] as [Tensor, Tensor]],
    );
  }

  /**
   * What an optimiser needs to move the teacher along with the student in step `iteration`; `update`
   * then moves the parameters that it did not take.
   */
  average(iteration: number): MovingAverage {
    this.#moved.clear();
    return {
      factor: emaFactor(iteration, this.options.decay),
      take: (parameter) => {
        const mine = this.#parameters.get(parameter) ?? null;
        if (mine) this.#moved.add(parameter);
        return mine;
      },
    };
  }

  /**
   * teacher ← a·teacher + (1 − a)·student after optimiser step `iteration`, for what the optimiser
   * has not moved itself; returns a.
   */
  update(iteration: number): number {
    const factor = emaFactor(iteration, this.options.decay);
    this.rest()(factor);
    return factor;
  }

  /**
   * What moves all that an optimiser has not taken since the last `average`, again at every call.
   * Its factor: a number, or float64 [1] on the teacher's device.
   */
  rest(): (factor: number | Tensor) => void {
    const left = [...this.#parameters].filter(([theirs]) => !this.#moved.has(theirs));
    this.#moved.clear();
    const mine = left.map(([, parameter]) => parameter);
    const theirs = left.map(([parameter]) => parameter);
    return (factor) =>
      torch.noGrad(() => {
        move(mine, theirs, factor);
        if (this.options.freezeBatchNorm) return;
        move(...this.#averagedBuffers, factor);
        for (const [ours, values] of this.#copiedBuffers) ours.copy_(values);
      });
  }
}

/** averages ← factor · averages + (1 − factor) · values, a list of each dtype and device at a time. */
function move(
  averages: readonly Tensor[],
  values: readonly Tensor[],
  factor: number | Tensor,
): void {
  const [value, scalar] = typeof factor === 'number' ? [factor, undefined] : [0, factor];
  const kindOf = ({ device, dtype }: Tensor) => `${device} ${dtype}`;
  const kinds = averages.map(kindOf);
  for (const kind of new Set(kinds)) {
    const ofKind = (_: Tensor, i: number) => kinds[i] === kind;
    torch.ops.m3l!.ema_update_!(averages.filter(ofKind), values.filter(ofKind), value, scalar);
  }
}
