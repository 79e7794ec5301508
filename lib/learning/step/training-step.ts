import type { Batch } from '../../data/index.js';
import { gradientNorm, scaleGradients } from '../../optim/gradients.js';
import type { Optimizer } from '../../optim/index.js';
import type { Tensor } from '../../torch/index.js';
import * as torch from '../../torch/index.js';
import type { Framework, TrainingBatch } from '../framework.js';
import { ALONE, type Peers } from '../peers.js';
import { SharedGradients } from './shared-gradients.js';

/** Any optimiser of `m3l/optim`. */
export type TrainerOptimizer = Optimizer<{ lr: number }>;

/** What a training step works on. */
export interface StepSetup {
  framework: Framework;
  optimizer: TrainerOptimizer;
  /** Where to compute; absent: where the batches are. */
  device?: string | undefined;
  /** Also compute the global 2-norm of the gradients. */
  reportGradientNorm: boolean;
  /** Whether `update` is ever given a scale. */
  scalesGradients: boolean;
  /** Parameters that get a gradient of 0 where the losses give them none. */
  idle?: readonly Tensor[];
  /** With whom each batch is shared; absent: with nobody. */
  peers?: Peers;
}

/** The two halves of a step, between which the host looks at the loss. */
export interface TrainingStep {
  /** Asks the device for the losses of a batch and their gradients. */
  gradients(batch: TrainingBatch, iteration: number): StepGradients;
  /**
   * Moves the weights and the teacher.
   * @param scale multiplies the gradients first; null: they stay as they are
   * @returns the teacher's factor a; null without a teacher
   */
  update(iteration: number, scale: number | null): number | null;
  /** Forgets what was prepared from the weights and the optimiser's state: they are others now. */
  reset(): void;
  dispose(): void;
}

export interface StepGradients {
  /** Per student sample the modality it lost, −1 for none. */
  masked: readonly number[];
  /** Waits for the device. */
  read(): StepValues;
}

export interface StepValues {
  /** `loss`, the framework's parts, and `gradientNorm` where asked for. */
  scalars: Record<string, number>;
  /** The framework's health; a list where it has a value for each class. */
  health: Health;
}

/** What there is to watch of a step, by name: numbers, or one for each class. */
export type Health = Readonly<Record<string, number | number[]>>;

/** Each operator as it comes, on the batch as it comes. */
export class EagerStep implements TrainingStep {
  readonly #shared: SharedGradients | null;

  constructor(private readonly setup: StepSetup) {
    const { framework, optimizer, peers = ALONE } = setup;
    this.#shared =
      peers.group === null ? null : new SharedGradients(peers.group, framework, optimizer);
  }

  gradients(batch: TrainingBatch, iteration: number): StepGradients {
    const { framework, device, peers = ALONE } = this.setup;
    const moved = device === undefined ? batch : onDevice(batch, device);
    const draw = framework.draw(moved, iteration);
    const reported = backward(this.setup, moved, draw, this.#shared);
    return {
      masked: draw.masked,
      read: () => readAll(layoutOf(reported), meanOver(peers, stackAll(reported))),
    };
  }

  update(iteration: number, scale: number | null): number | null {
    const { framework, optimizer } = this.setup;
    if (scale !== null) scaleGradients(optimizer.groups, scale);
    if (framework.teacher) return framework.teacher.step(optimizer, iteration);
    optimizer.step();
    return null;
  }

  reset(): void {}

  dispose(): void {
    this.#shared?.dispose();
  }
}

/** What a step reports, on the device. */
export interface Reported {
  scalars: Record<string, Tensor>;
  /** Scalars or [K]. */
  health: Record<string, Tensor>;
}

/**
 * Losses and their gradients, in place of the gradients before; returns what is to be reported.
 * @param shared brings the gradients of several processes together
 */
export function backward(
  { framework, optimizer, reportGradientNorm, idle = [] }: StepSetup,
  batch: TrainingBatch,
  draw: Parameters<Framework['losses']>[1],
  shared: SharedGradients | null = null,
): Reported {
  optimizer.zeroGrad();
  // What the backward does not read goes before it, and the rest as it is read.
  const { total, parts, health = {} } = torch.scope(() => framework.losses(batch, draw));
  if (shared === null) total.backward();
  else shared.backward(total);
  for (const parameter of idle) parameter.grad ??= parameter.detach().zerosLike();
  const scalars: Record<string, Tensor> = { loss: total, ...parts };
  if (reportGradientNorm) scalars.gradientNorm = gradientNorm(optimizer.groups);
  return { scalars, health };
}

/** Names of what is reported, and of the health how many values each has; null: a scalar. */
export interface Layout {
  readonly scalars: readonly string[];
  readonly health: readonly (readonly [string, number | null])[];
}

export function layoutOf({ scalars, health }: Reported): Layout {
  return {
    scalars: Object.keys(scalars),
    health: Object.entries(health).map(([name, { shape }]) => [name, shape[0] ?? null] as const),
  };
}

/** [n] float64, so that one read from the device has them all. */
export function stackAll({ scalars, health }: Reported): Tensor {
  const all = [...Object.values(scalars), ...Object.values(health)];
  return torch.cat(all.map((tensor) => tensor.detach().to('float64').reshape([-1])));
}

/** What all report alike stays as it is; of what each has of its own images it is the mean. */
function meanOver({ group }: Peers, values: Tensor): Tensor {
  if (group !== null) group.allReduce(values, 'mean');
  return values;
}

/** The values [n] by name, read from the device. */
export function readAll({ scalars, health }: Layout, values: Tensor): StepValues {
  const read = values.toTypedArray() as Float64Array;
  let at = scalars.length;
  return {
    scalars: Object.fromEntries(scalars.map((name, i) => [name, read[i]!])),
    health: Object.fromEntries(
      health.map(([name, count]) => {
        const from = at;
        at += count ?? 1;
        return [name, count === null ? read[from]! : [...read.subarray(from, at)]];
      }),
    ),
  };
}

function onDevice(batch: TrainingBatch, device: string): TrainingBatch {
  const move = (tensor: Tensor) => tensor.to({ device });
  const moved = (one: Batch): Batch => ({
    ...one,
    modalities: one.modalities.map(move),
    labels: one.labels && move(one.labels),
    valid: one.valid && move(one.valid),
  });
  return {
    labelled: moved(batch.labelled),
    ...(batch.unlabelled ? { unlabelled: moved(batch.unlabelled) } : {}),
  };
}
