import { stageValues } from '../../data/index.js';
import { scaleGradients } from '../../optim/gradients.js';
import type { StaticUpdate } from '../../optim/index.js';
import type { Tensor } from '../../torch/index.js';
import * as torch from '../../torch/index.js';
import { emaFactor } from '../ema.js';
import { LearningError } from '../errors.js';
import type { AnyDraw, Framework, StepDraw, TrainingBatch } from '../framework.js';
import type { Replay } from './replay.js';
import { StaticBatch } from './static-batch.js';
import {
  backward,
  named,
  type StepGradients,
  type StepSetup,
  stackScalars,
  type TrainingStep,
} from './training-step.js';

/**
 * The step of `EagerStep` as two pieces of work that read and write tensors which stay where they
 * are: batch, masks, λ, learning rates, bias corrections, the teacher's factor go in, losses come
 * out. Nothing in them depends on a value that the host would have to know, so that a CUDA graph of
 * each can be replayed (`CapturedReplay`); run as they are, they give the same.
 *
 * The losses are read between the two: one that is not finite never reaches the weights.
 *
 * One thing differs from `EagerStep`: the mask token takes part in every step of a framework that
 * masks, so in a step in which no sample lost a modality it has a gradient of 0 instead of none, and
 * the optimiser moves it by its momentum and decay.
 *
 * @throws LearningError M3L_STATIC_STEP for options whose random numbers cannot be replayed
 */
export class StaticStep implements TrainingStep {
  readonly #setup: StepSetup;
  readonly #makeReplay: () => Replay;
  readonly #batch: StaticBatch;
  #gradients: Replay;
  #update: Replay;
  /** float64 [1 + samples]: λ, then what each sample loses. */
  #drawn: Tensor | null = null;
  #reported: { names: string[]; values: Tensor } | null = null;
  #optimisation: Optimisation | null = null;

  /** @param makeReplay what runs each piece of work, again and again */
  constructor(setup: StepSetup, makeReplay: () => Replay) {
    requireStatic(setup.framework);
    this.#setup = setup;
    this.#makeReplay = makeReplay;
    this.#batch = new StaticBatch(setup.device);
    this.#gradients = makeReplay();
    this.#update = makeReplay();
  }

  gradients(given: TrainingBatch, iteration: number): StepGradients {
    const { framework } = this.#setup;
    const draw = framework.draw(given, iteration);
    const batch = this.#batch.load(given);
    this.#load(draw, batch.labelled.modalities[0]!.device);
    this.#gradients.run(() =>
      torch.scope(() => this.#report(backward(this.#setup, batch, this.#draw(draw)))),
    );
    return {
      masked: draw.masked,
      read: () => named(this.#reported!.names, this.#reported!.values),
    };
  }

  update(iteration: number, scale: number | null): number | null {
    const { teacher } = this.#setup.framework;
    const factor = teacher ? emaFactor(iteration, teacher.options.decay) : null;
    this.#optimisation ??= this.#optimise(iteration);
    const { numbers, update, rest } = this.#optimisation;
    fill(numbers, [scale ?? 1, factor ?? 0, ...update.next(factor ?? 0)]);
    this.#update.run(() =>
      torch.scope(() => {
        const { optimizer, scalesGradients } = this.#setup;
        if (scalesGradients) scaleGradients(optimizer.groups, numbers.select(0, 0).to('float32'));
        update.apply(numbers.narrow(0, 2, update.size));
        rest?.(numbers.narrow(0, 1, 1));
      }),
    );
    return factor;
  }

  reset(): void {
    for (const replay of [this.#gradients, this.#update]) replay.dispose();
    this.#gradients = this.#makeReplay();
    this.#update = this.#makeReplay();
    this.#optimisation?.numbers.dispose();
    this.#optimisation = null;
  }

  dispose(): void {
    for (const replay of [this.#gradients, this.#update]) replay.dispose();
    this.#batch.dispose();
    torch.dispose([this.#drawn, this.#reported?.values, this.#optimisation?.numbers]);
  }

  /** Brings what the host drew to the device. */
  #load({ masked, pseudoWeight }: StepDraw, device: string): void {
    const count = 1 + masked.length;
    this.#drawn ??= torch.detached(() => torch.empty([count], { dtype: 'float64', device }));
    fill(this.#drawn, [pseudoWeight, ...masked]);
  }

  #draw({ masked }: StepDraw): AnyDraw {
    const drawn = this.#drawn!;
    return {
      // Where nothing is ever masked the model need not look.
      masked: this.#setup.framework.drawsMasks
        ? drawn.narrow(0, 1, masked.length).to('int64')
        : masked,
      pseudoWeight: drawn.select(0, 0).to('float32'),
      tokenSeed: null,
    };
  }

  #report(scalars: Record<string, Tensor>): void {
    const values = stackScalars(scalars);
    this.#reported ??= {
      names: Object.keys(scalars),
      values: torch.detached(() => torch.emptyLike(values)),
    };
    this.#reported.values.copy_(values);
  }

  #optimise(iteration: number): Optimisation {
    const { framework, optimizer } = this.#setup;
    const update = optimizer.staticUpdate({ average: framework.teacher?.average(iteration) });
    const { device } = this.#drawn!;
    return {
      update,
      rest: framework.teacher?.rest() ?? null,
      numbers: torch.detached(() => torch.empty([2 + update.size], { dtype: 'float64', device })),
    };
  }
}

/** The second half of the step. */
interface Optimisation {
  update: StaticUpdate;
  /** Moves what the optimiser leaves of the teacher. */
  rest: ((factor: Tensor) => void) | null;
  /** float64 [2 + update.size]: the gradients' scale, the teacher's factor, the optimiser's. */
  numbers: Tensor;
}

/** Overwrites a float64 tensor [n]. */
function fill(tensor: Tensor, numbers: readonly number[]): void {
  torch.scope(() => {
    const values = Float64Array.from(numbers);
    tensor.copy_(stageValues(values, [numbers.length], tensor.device));
  });
}

function requireStatic({ drawsMasks, student, options }: Framework): void {
  if (!drawsMasks) return;
  const { maskingRatio, fill: filling } = options;
  const found =
    student.hasMaskToken && maskingRatio !== 1
      ? `maskingRatio ${maskingRatio}, expected 1`
      : !student.hasMaskToken && filling === 'noise'
        ? "fill 'noise', expected 'zeros' or 'mean'"
        : null;
  if (found === null) return;
  throw new LearningError(
    'M3L_STATIC_STEP',
    `a step that is replayed: found ${found}, since that draws from a generator which every step seeds ` +
      'anew. Change it, or train without cudaGraph.',
  );
}
