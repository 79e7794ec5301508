import { setImmediate } from 'node:timers/promises';
import { disposeBatch, mixSeed } from '../data/index.js';
import type { SegmentationModel } from '../models/index.js';
import * as nn from '../nn/index.js';
import type { OptimizerState } from '../optim/index.js';
import { checkArguments } from '../torch/check-arguments.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { LearningError } from './errors.js';
import type { Framework, TrainingBatch } from './framework.js';
import { ALONE, type Collectives, type Peers } from './peers.js';
import { trainerOptionsShape } from './rules.js';
import { createStep, type Execution } from './step/create-step.js';
import { KeptBuffers } from './step/kept-buffers.js';
import type { Health, TrainerOptimizer, TrainingStep } from './step/training-step.js';

/** What `Trainer` takes by name. */
export interface TrainerOptions {
  framework: Framework;
  optimizer: TrainerOptimizer;
  /** Sets the learning rates of iteration t; every schedule of `m3l/optim` fits. */
  schedule?: { apply(optimizer: TrainerOptimizer, iteration: number): unknown };
  /**
   * The batch of an iteration, the same whenever it is asked for. Its tensors pass to the trainer,
   * which moves them to `device` and disposes of them after the step.
   */
  source: (iteration: number) => Promise<TrainingBatch>;
  /**
   * Called with the next iteration while the device still computes this one's gradients: the time to
   * bring the next batch on its way. Absent on the CPU, which has no time to spare.
   */
  prepare?: (iteration: number) => void;
  /** Number of iterations of the whole training. */
  iterations: number;
  /** Seeds dropout, drop-path and whatever else is drawn in a step (0). */
  seed?: number;
  /** Where to train: the device the networks are on (`cpu`). */
  device?: string;
  /**
   * How a step is run (`eager`). The others want batches of one shape, and the learning rates set by
   * `schedule` or on the groups; `captured` a CUDA device.
   */
  execution?: Execution;
  /**
   * With whom each batch is shared (nobody): `source` gives this process's part. The framework's are the
   * same. Every process then takes the same steps.
   */
  peers?: Peers;
  /** Also report the global 2-norm of the gradients (false). */
  reportGradientNorm?: boolean;
  /** Scale gradients down to this global 2-norm at most; null: leave them. */
  clipGradientNorm?: number | null;
  /** Called after each step. */
  onStep?: (report: StepReport) => void | Promise<void>;
  /** Call `onEvaluate` every so many iterations and after the last one; 0: only then. */
  evaluateEvery?: number;
  onEvaluate?: (iteration: number) => void | Promise<void>;
}

/** What one step did. */
export interface StepReport {
  /** Index of the iteration, from 0. */
  iteration: number;
  /** The loss that was differentiated. */
  loss: number;
  /** `sup`, `pseudo` and what else the framework reports. */
  parts: Record<string, number>;
  /** What there is to watch beside, by name: a number, or one for each class; {} where nothing is. */
  health: Health;
  /** One per parameter group. */
  learningRates: number[];
  /** The teacher's factor a; null without a teacher. */
  emaFactor: number | null;
  /** Before clipping; null where it was not asked for. */
  gradientNorm: number | null;
  /** Per student sample the modality it lost, −1 for none. */
  masked: readonly number[];
  /** Time the step took without waiting for its batch, and the wait. */
  seconds: number;
  waitSeconds: number;
}

/** All that a resumed training needs. Tensors: `NETWORK.*` of each network, `framework.*`, `optimizer.*`. */
export interface TrainerState {
  tensors: Record<string, Tensor>;
  meta: { iteration: number; seed: number; framework: string; optimizer: OptimizerState['meta'] };
}

/**
 * Trains a framework's networks. Step t draws its random numbers from (seed, t) alone and its batch
 * from `source(t)`: a training that was stopped and resumed gives the same numbers as one in one go.
 */
export class Trainer {
  readonly #options: TrainerOptions;
  readonly #seed: number;
  readonly #step: TrainingStep;
  readonly #buffers: KeptBuffers;
  #iteration = 0;
  #intact = true;

  constructor(options: TrainerOptions) {
    checkArguments('Trainer', { options }, { options: trainerOptionsShape });

    this.#options = options;
    this.#seed = options.seed ?? 0;
    if (options.framework.options.freezeBatchNorm) {
      for (const network of trained(options.framework)) nn.freezeBatchNorm(network);
    }
    const { framework, optimizer, device, execution = 'eager', clipGradientNorm = null } = options;
    const { reportGradientNorm = false, peers = ALONE } = options;
    if (peers.group !== null) shareStatistics(framework, peers.group);
    this.#step = createStep(execution, {
      framework,
      optimizer,
      device,
      reportGradientNorm: reportGradientNorm || clipGradientNorm !== null,
      scalesGradients: clipGradientNorm !== null,
      idle: framework.options.decayIdleTokens ? trained(framework).flatMap(maskTokens) : [],
      peers,
    });
    // The teacher's move with the optimiser alone.
    const moving = trained(framework).flatMap(nn.movingBuffers);
    this.#buffers = new KeptBuffers([...moving, ...Object.values(framework.state ?? {})]);
  }

  /** What seeds dropout and drop-path beside the iteration: those of other images are others. */
  get #apart(): number[] {
    const { rank } = this.#options.peers ?? ALONE;
    return rank === 0 ? [] : [rank];
  }

  /** Iterations done. */
  get iteration(): number {
    return this.#iteration;
  }

  /** Whether the state is that of the iterations done: not where an update failed half-way. */
  get intact(): boolean {
    return this.#intact;
  }

  get finished(): boolean {
    return this.#iteration >= this.#options.iterations;
  }

  /**
   * Trains to the end (or `until` iterations are done). An abort lets the running step finish.
   * @throws LearningError M3L_LOSS_NOT_FINITE before the weights are touched
   */
  async run(options: { until?: number; signal?: AbortSignal } = {}): Promise<'done' | 'aborted'> {
    const { onStep, onEvaluate, evaluateEvery = 0, iterations } = this.#options;
    const until = Math.min(options.until ?? iterations, iterations);
    while (this.#iteration < until) {
      if (options.signal?.aborted) return 'aborted';
      const report = await this.step();
      await onStep?.(report);
      const due = evaluateEvery > 0 && this.#iteration % evaluateEvery === 0;
      // An abort wants out: the caller can evaluate later, from what it saves.
      if ((due || this.finished) && !options.signal?.aborted) await onEvaluate?.(this.#iteration);
    }
    return options.signal?.aborted && !this.finished ? 'aborted' : 'done';
  }

  /** One iteration. */
  async step(): Promise<StepReport> {
    // A source that has its batch at once never lets the event loop run: a Ctrl-C would go unheard.
    await setImmediate();
    const asked = performance.now();
    const batch = await this.#options.source(this.#iteration);
    const got = performance.now();
    try {
      const report = torch.scope(() => this.#learn(batch));
      const waitSeconds = (got - asked) / 1000;
      return { ...report, waitSeconds, seconds: (performance.now() - got) / 1000 };
    } finally {
      disposeBatch(batch.labelled);
      if (batch.unlabelled) disposeBatch(batch.unlabelled);
    }
  }

  /** A snapshot to save: the tensors are views of the live ones. */
  state(): TrainerState {
    const { framework, optimizer } = this.#options;
    const { tensors, meta } = optimizer.stateDict();
    const networks = Object.entries(framework.networks).flatMap(([name, network]) =>
      Object.entries(prefixed(`${name}.`, network.stateDict())),
    );
    return {
      tensors: {
        ...Object.fromEntries(networks),
        ...prefixed('framework.', detached(framework.state ?? {})),
        ...prefixed('optimizer.', tensors),
      },
      meta: {
        iteration: this.#iteration,
        seed: this.#seed,
        framework: framework.name,
        optimizer: meta,
      },
    };
  }

  /**
   * Goes on from a state that `state()` gave.
   * @throws LearningError M3L_STATE_MISMATCH for a state of another framework
   */
  loadState({ tensors, meta }: TrainerState): void {
    const { framework, optimizer } = this.#options;
    if (meta.framework !== framework.name) {
      throw new LearningError(
        'M3L_STATE_MISMATCH',
        `the saved training is of the framework '${meta.framework}', this one is ` +
          `'${framework.name}'. Resume with the configuration that it was started with.`,
      );
    }
    if (meta.seed !== this.#seed) {
      throw new LearningError(
        'M3L_STATE_MISMATCH',
        `the saved training has seed ${meta.seed}, this one ${this.#seed}. Resume with the same seed.`,
      );
    }
    for (const [name, network] of Object.entries(framework.networks)) {
      network.loadStateDict(withoutPrefix(`${name}.`, tensors));
    }
    loadFrameworkState(framework, withoutPrefix('framework.', tensors));
    optimizer.loadStateDict({
      tensors: withoutPrefix('optimizer.', tensors),
      meta: meta.optimizer,
    });
    this.#iteration = meta.iteration;
    this.#intact = true;
    this.#step.reset();
  }

  /** Releases what the steps and the framework hold beside networks and optimiser, which stay. */
  dispose(): void {
    const { framework, peers } = this.#options;
    if (peers?.group) shareStatistics(framework, null);
    this.#step.dispose();
    this.#buffers.dispose();
    torch.dispose(Object.values(this.#options.framework.state ?? {}));
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #learn(batch: TrainingBatch): Omit<StepReport, 'seconds' | 'waitSeconds'> {
    const { framework, optimizer, schedule, clipGradientNorm = null } = this.#options;
    const iteration = this.#iteration;
    for (const network of trained(framework)) if (!network.training) network.train();
    torch.manualSeed(mixSeed(this.#seed, iteration, ...this.#apart));
    schedule?.apply(optimizer, iteration);

    const { masked, losses, health } = this.#unlessFailed(() => {
      const { masked, read } = this.#step.gradients(batch, iteration);
      // What is read next waits for the device.
      if (iteration + 1 < this.#options.iterations) this.#options.prepare?.(iteration + 1);
      const { scalars: losses, health } = read();
      this.#requireFinite(losses);
      return { masked, losses, health };
    });
    const { loss, gradientNorm: norm, ...parts } = losses;
    const clips = clipGradientNorm !== null && norm! > clipGradientNorm;
    const learningRates = optimizer.groups.map((group) => group.lr);
    this.#intact = false;
    const emaFactor = this.#step.update(iteration, clips ? clipGradientNorm / norm! : null);
    this.#intact = true;
    this.#iteration = iteration + 1;
    return {
      iteration,
      loss: loss!,
      parts,
      health,
      learningRates,
      emaFactor,
      gradientNorm: norm ?? null,
      masked,
    };
  }

  /** A failing forward or backward pass leaves the networks as the step before did. */
  #unlessFailed<Result>(work: () => Result): Result {
    this.#buffers.keep();
    try {
      return work();
    } catch (error) {
      this.#intact = false;
      this.#buffers.restore();
      this.#intact = true;
      throw error;
    }
  }

  #requireFinite({ gradientNorm, ...losses }: Record<string, number>): void {
    const values = { ...losses, ...(gradientNorm === undefined ? {} : { norm: gradientNorm }) };
    if (Object.values(values).every(Number.isFinite)) return;
    requireLabels(this.#options.device);
    const found = Object.entries(values).map(([name, value]) => `${name} ${value}`);
    throw new LearningError(
      'M3L_LOSS_NOT_FINITE',
      `iteration ${this.#iteration}: the loss is not finite (${found.join(', ')}). The weights are ` +
        'still those of the step before. Lower the learning rates, clip the gradients, or look ' +
        'for NaN in the inputs of this iteration.',
    );
  }
}

/** What networks gather of their batches, BatchNorms and ensembles, is then of all processes' samples. */
function shareStatistics({ networks }: Framework, group: Collectives | null): void {
  for (const network of Object.values(networks)) {
    nn.synchroniseBatchNorm(network, group);
    network.statisticsGroup = group;
  }
}

/** On CUDA a label that is no class makes the loss NaN; who reads it learns here which it was. */
function requireLabels(device: string | undefined): void {
  torch.scope(() => torch.ops.m3l!.upsample_ohem_cross_entropy_check!(torch.zeros([], { device })));
}

function maskTokens(network: SegmentationModel): Tensor[] {
  const named = network.namedParameters();
  return named.flatMap(([name, token]) => (name.endsWith('mask_token') ? [token] : []));
}

/** @throws LearningError M3L_STATE_MISMATCH where a tensor is missing or of another shape */
function loadFrameworkState({ name, state = {} }: Framework, found: Record<string, Tensor>): void {
  for (const [key, tensor] of Object.entries(state)) {
    const saved = found[key];
    if (saved?.shape.join() !== tensor.shape.join()) {
      throw new LearningError(
        'M3L_STATE_MISMATCH',
        `framework.${key} of the saved training: found ${saved ? `[${saved.shape}]` : 'none'}, ` +
          `expected [${tensor.shape}] for '${name}'. Resume with the configuration that it was ` +
          'started with.',
      );
    }
    torch.noGrad(() => void tensor.copy_(saved));
  }
}

function trained({ networks, trainable }: Framework): SegmentationModel[] {
  return trainable.map((name) => networks[name]!);
}

function prefixed<T>(prefix: string, record: Record<string, T>): Record<string, T> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [prefix + name, value]));
}

/** Views: whoever disposes of a snapshot leaves the live ones. */
function detached(tensors: Readonly<Record<string, Tensor>>): Record<string, Tensor> {
  return Object.fromEntries(
    Object.entries(tensors).map(([name, tensor]) => [name, tensor.detach()]),
  );
}

function withoutPrefix<T>(prefix: string, record: Record<string, T>): Record<string, T> {
  return Object.fromEntries(
    Object.entries(record).flatMap(([name, value]) =>
      name.startsWith(prefix) ? [[name.slice(prefix.length), value]] : [],
    ),
  );
}
