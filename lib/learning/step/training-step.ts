import type { Batch } from '../../data/index.js';
import { gradientNorm, scaleGradients } from '../../optim/gradients.js';
import type { Optimizer } from '../../optim/index.js';
import type { Tensor } from '../../torch/index.js';
import * as torch from '../../torch/index.js';
import type { Framework, TrainingBatch } from '../framework.js';

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
  /** Waits for the device: `loss`, the framework's parts, and `gradientNorm` where asked for. */
  read(): Record<string, number>;
}

/** Each operator as it comes, on the batch as it comes. */
export class EagerStep implements TrainingStep {
  constructor(private readonly setup: StepSetup) {}

  gradients(batch: TrainingBatch, iteration: number): StepGradients {
    const { framework, device } = this.setup;
    const moved = device === undefined ? batch : onDevice(batch, device);
    const draw = framework.draw(moved, iteration);
    const scalars = backward(this.setup, moved, draw);
    return {
      masked: draw.masked,
      read: () => named(Object.keys(scalars), stackScalars(scalars)),
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

  dispose(): void {}
}

/** Losses and their gradients, in place of the gradients before; returns what is to be reported. */
export function backward(
  { framework, optimizer, reportGradientNorm, idle = [] }: StepSetup,
  batch: TrainingBatch,
  draw: Parameters<Framework['losses']>[1],
): Record<string, Tensor> {
  optimizer.zeroGrad();
  // What the backward does not read goes before it, and the rest as it is read.
  const { total, parts } = torch.scope(() => framework.losses(batch, draw));
  total.backward();
  for (const parameter of idle) parameter.grad ??= parameter.detach().zerosLike();
  const scalars: Record<string, Tensor> = { loss: total, ...parts };
  if (reportGradientNorm) scalars.gradientNorm = gradientNorm(optimizer.groups);
  return scalars;
}

/** [n] float64, so that one read from the device has them all. */
export function stackScalars(scalars: Record<string, Tensor>): Tensor {
  return torch.stack(Object.values(scalars).map((scalar) => scalar.detach().to('float64')));
}

/** The values [n] by name, read from the device. */
export function named(names: readonly string[], values: Tensor): Record<string, number> {
  const read = values.toTypedArray() as Float64Array;
  return Object.fromEntries(names.map((name, i) => [name, read[i]!]));
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
