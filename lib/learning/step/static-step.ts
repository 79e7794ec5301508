import { stageValues } from '../../data/index.js';
import { scaleGradients } from '../../optim/gradients.js';
import { checkArguments } from '../../torch/check-arguments.js';
import type { Tensor } from '../../torch/index.js';
import * as torch from '../../torch/index.js';
import * as is from '../../torch/rules.js';
import type { StaticMove } from '../ema.js';
import { LearningError } from '../errors.js';
import type { AnyDraw, Framework, StepDraw, TrainingBatch } from '../framework.js';
import { stepSetupShape } from '../rules.js';
import type { Replay } from './replay.js';
import { StaticBatch } from './static-batch.js';
import {
  backward,
  type Layout,
  layoutOf,
  type Reported,
  readAll,
  type StepGradients,
  type StepSetup,
  stackAll,
  type TrainerOptimizer,
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
  /** float64: λ, the confidence threshold, the boxes, then what each sample loses, the student's and maybe the teacher's. */
  #drawn: Tensor | null = null;
  #reported: { layout: Layout; values: Tensor } | null = null;
  #optimisation: Optimisation | null = null;

  /** @param makeReplay what runs each piece of work, again and again */
  constructor(setup: StepSetup, makeReplay: () => Replay) {
    checkArguments(
      'StaticStep',
      { setup, makeReplay },
      { setup: stepSetupShape, makeReplay: is.callback },
    );

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
      read: () => readAll(this.#reported!.layout, this.#reported!.values),
    };
  }

  update(iteration: number, scale: number | null): number | null {
    this.#optimisation ??= this.#optimise();
    const { numbers, move } = this.#optimisation;
    fill(numbers, [scale ?? 1, ...move.next(iteration)]);
    this.#update.run(() =>
      torch.scope(() => {
        const { optimizer, scalesGradients } = this.#setup;
        if (scalesGradients) scaleGradients(optimizer.groups, numbers.select(0, 0).to('float32'));
        move.apply(numbers.narrow(0, 1, move.size));
      }),
    );
    return this.#setup.framework.teacher?.factor(iteration) ?? null;
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
  #load(draw: StepDraw, device: string): void {
    const { masked, teacherMasked, pseudoWeight, confidence, boxes } = draw;
    const drawn = [pseudoWeight, confidence ?? 0, ...boxes, ...masked, ...(teacherMasked ?? [])];
    const make = () => torch.empty([drawn.length], { dtype: 'float64', device });
    this.#drawn ??= torch.detached(make);
    fill(this.#drawn, drawn);
  }

  #draw({ masked, teacherMasked, confidence = null, boxes }: StepDraw): AnyDraw {
    const drawn = this.#drawn!;
    // Where nothing is ever masked the model need not look.
    const { masksModalities } = this.#setup.framework;
    const onDevice = (samples: readonly number[], from: number) =>
      masksModalities ? drawn.narrow(0, from, samples.length).to('int64') : samples;
    const from = 2 + boxes.length;
    return {
      masked: onDevice(masked, from),
      teacherMasked: teacherMasked && onDevice(teacherMasked, from + masked.length),
      boxes: boxes.length > 0 ? drawn.narrow(0, 2, boxes.length) : boxes,
      pseudoWeight: drawn.select(0, 0).to('float32'),
      confidence: confidence === null ? null : drawn.select(0, 1).to('float32'),
      tokenSeed: null,
    };
  }

  #report(reported: Reported): void {
    const values = stackAll(reported);
    this.#reported ??= {
      layout: layoutOf(reported),
      values: torch.detached(() => torch.emptyLike(values)),
    };
    this.#reported.values.copy_(values);
  }

  #optimise(): Optimisation {
    const { framework, optimizer } = this.#setup;
    const move = framework.teacher?.staticStep(optimizer) ?? withoutTeacher(optimizer);
    const { device } = this.#drawn!;
    const make = () => torch.empty([1 + move.size], { dtype: 'float64', device });
    return { move, numbers: torch.detached(make) };
  }
}

/** The second half of the step. */
interface Optimisation {
  move: StaticMove;
  /** float64 [1 + move.size]: the gradients' scale, then what `move` takes. */
  numbers: Tensor;
}

function withoutTeacher(optimizer: TrainerOptimizer): StaticMove {
  const { size, next, apply } = optimizer.staticUpdate();
  return { size, next: () => next(0), apply };
}

/** Overwrites a float64 tensor [n]. */
function fill(tensor: Tensor, numbers: readonly number[]): void {
  torch.scope(() => {
    const values = Float64Array.from(numbers);
    tensor.copy_(stageValues(values, [numbers.length], tensor.device));
  });
}

function requireStatic({ masksModalities, networks, headline, options }: Framework): void {
  if (!masksModalities) return;
  const { maskingRatio, fill: filling } = options;
  const { hasMaskToken } = networks[headline]!;
  const found =
    hasMaskToken && maskingRatio !== 1
      ? `maskingRatio ${maskingRatio}, expected 1`
      : !hasMaskToken && filling === 'noise'
        ? "fill 'noise', expected 'zeros' or 'mean'"
        : null;
  if (found === null) return;
  throw new LearningError(
    'M3L_STATIC_STEP',
    `a step that is replayed: found ${found}, since that draws from a generator which every step seeds ` +
      'anew. Change it, or train without cudaGraph.',
  );
}
