import type { SegmentationModel } from '../models/index.js';
import { segmentationModelShape } from '../models/rules.js';
import * as nn from '../nn/index.js';
import type { Optimizer } from '../optim/index.js';
import { checkArguments } from '../torch/check-arguments.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import * as is from '../torch/rules.js';

/** a_t = min(1 − 1/(t + 1), decay), t from 0: the first update copies the student. */
export function emaFactor(iteration: number, decay = 0.99): number {
  checkArguments('emaFactor', { iteration, decay }, { iteration: is.finite, decay: is.finite });

  return Math.min(1 - 1 / (iteration + 1), decay);
}

/** The upper limit of a teacher's factor that averages over a share of a training of so many iterations. */
export function horizonDecay(horizon: number, iterations: number): number {
  checkArguments(
    'horizonDecay',
    { horizon, iterations },
    { horizon: is.finite, iterations: is.finite },
  );

  return Math.min(0.999, 1 - 1 / Math.max(1, horizon * iterations));
}

/** An optimiser's step with the teacher's, for replaying: numbers go in, as in `StaticUpdate`. */
export interface StaticMove {
  /** How many numbers a step takes. */
  readonly size: number;
  /** Counts a step; what it differs in. */
  next(iteration: number): number[];
  /** @param numbers float64 [size] on the parameters' device */
  apply(numbers: Tensor): void;
}

/**
 * The mean teacher: a model whose parameters are the exponential moving average of the student's
 * (m3l.md section 5). It starts as a copy, never takes a gradient, and moves only by `step` (or what
 * `staticStep` gives): in the optimiser's own pass what that can take along, the rest after it.
 */
export class EmaTeacher {
  /** The teacher's parameter of each of the student's. */
  readonly #parameters: Map<Tensor, Tensor>;
  readonly #averagedBuffers: [Tensor[], Tensor[]];
  readonly #copiedBuffers: [Tensor, Tensor][];

  /**
   * @param model a model of the student's architecture; its weights become the student's
   * @param options `mode`: whether dropout and drop-path act while it labels; `decay`: the EMA
   *   factor's upper limit; `freezeBatchNorm`: false lets the norms' statistics follow the average too,
   *   as all other buffers do
   */
  constructor(
    readonly model: SegmentationModel,
    student: SegmentationModel,
    private readonly options: {
      mode: 'eval' | 'train';
      decay: number;
      freezeBatchNorm: boolean;
    },
  ) {
    checkArguments(
      'EmaTeacher',
      { model, student, options },
      {
        model: segmentationModelShape,
        student: segmentationModelShape,
        options: is.shape('options', { mode: is.text, decay: is.finite, freezeBatchNorm: is.flag }),
      },
    );

    torch.scope(() => void model.loadStateDict(student.stateDict()));
    model.requiresGrad_(false);
    model.train(options.mode === 'train');
    // The teacher never gathers statistics itself: they follow the student's.
    nn.freezeBatchNorm(model);
    const parameters = model.parameters();
    this.#parameters = new Map(student.parameters().map((theirs, i) => [theirs, parameters[i]!]));
    const buffersOf = (of: SegmentationModel) => of.namedBuffers().map(([, buffer]) => buffer);
    const averaged = options.freezeBatchNorm ? new Set(nn.movingBuffers(model)) : null;
    const moving = buffersOf(model).map((buffer) => averaged === null || averaged.has(buffer));
    const [ours, theirs] = [model, student].map((of) => buffersOf(of).filter((_, i) => moving[i]));
    const isFloat = (buffer: Tensor) => buffer.dtype.startsWith('float');
    this.#averagedBuffers = [ours.filter(isFloat), theirs.filter(isFloat)];
    this.#copiedBuffers = ours.flatMap((buffer, i) =>
      isFloat(buffer) ? [] : [[buffer, theirs[i]!] as [Tensor, Tensor]],
    );
  }

  /** The EMA factor a of an iteration. */
  factor(iteration: number): number {
    return emaFactor(iteration, this.options.decay);
  }

  /**
   * The optimiser's step from the gradients at hand, and teacher ← a·teacher + (1 − a)·student of what
   * it left; returns a.
   */
  step(optimizer: Optimizer<{ lr: number }>, iteration: number): number {
    const factor = this.factor(iteration);
    const { take, rest } = this.#split();
    optimizer.step({ average: { factor, take } });
    rest()(factor);
    return factor;
  }

  /** As `step`, again and again from tensors that stay where they are. */
  staticStep(optimizer: Optimizer<{ lr: number }>): StaticMove {
    const { take, rest } = this.#split();
    const update = optimizer.staticUpdate({ average: { factor: 0, take } });
    const moveRest = rest();
    return {
      size: 1 + update.size,
      next: (iteration) => {
        const factor = this.factor(iteration);
        return [factor, ...update.next(factor)];
      },
      apply(numbers) {
        update.apply(numbers.narrow(0, 1, update.size));
        moveRest(numbers.narrow(0, 0, 1));
      },
    };
  }

  /** `take` hands a parameter's average to the optimiser; `rest` then gives what moves the others. */
  #split() {
    const taken = new Set<Tensor>();
    const take = (parameter: Tensor): Tensor | null => {
      const mine = this.#parameters.get(parameter) ?? null;
      if (mine) taken.add(parameter);
      return mine;
    };
    const rest = () => {
      const left = [...this.#parameters].filter(([theirs]) => !taken.has(theirs));
      const mine = left.map(([, parameter]) => parameter);
      const theirs = left.map(([parameter]) => parameter);
      return (factor: number | Tensor) =>
        torch.noGrad(() => {
          move(mine, theirs, factor);
          move(...this.#averagedBuffers, factor);
          for (const [ours, values] of this.#copiedBuffers) ours.copy_(values);
        });
    };
    return { take, rest };
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
