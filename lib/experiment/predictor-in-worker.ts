import { type CallOptions, inWorker, type WorkerModel } from '../inference/index.js';
import { workerModelShape } from '../inference/rules.js';
import type { ForwardOptions, Head, Prediction } from '../models/index.js';
import { checkArguments } from '../torch/check-arguments.js';
import { ArgumentError, describe, type M3lError } from '../torch/errors.js';
import type { Tensor } from '../torch/index.js';
import { withDefaults } from '../torch/require.js';
import * as is from '../torch/rules.js';
import { calmThreads } from './networks.js';
import { type NetworkOptions, networkOf } from './predictor/scene-network.js';
import { networkFactsShape } from './rules.js';
import { RunFolder } from './run-folder.js';
import type { NetworkFacts, RunClassesOptions, RunPredictor } from './run-predictor.js';

/** What `predictorInWorker` takes by name. */
export interface WorkerPredictorOptions extends NetworkOptions {
  /** As of `optimizeForInference` (true). */
  measure?: boolean;
}

/**
 * The network of a run in a thread of its own; made by {@link predictorInWorker}. Its methods are those
 * of a view for inference, but asynchronous: calls are answered one after another, tensors go both ways
 * without a copy, and the event loop goes on. Results belong to the scope that awaits them. An
 * `AbortSignal` among the options takes a call back.
 */
export class WorkerPredictor implements NetworkFacts {
  readonly modalities!: number;
  readonly numClasses!: number;
  readonly hasMaskToken!: boolean;
  readonly leastSide!: number;
  readonly specs!: NetworkFacts['specs'];
  readonly classes!: NetworkFacts['classes'];
  readonly colours!: NetworkFacts['colours'];
  readonly loading!: NetworkFacts['loading'];
  readonly #model: WorkerModel<RunPredictor>;

  constructor(model: WorkerModel<RunPredictor>, facts: NetworkFacts) {
    checkArguments(
      'WorkerPredictor',
      { model, facts },
      { model: workerModelShape, facts: networkFactsShape },
    );

    this.#model = model;
    Object.assign(this, facts);
  }

  /**
   * @param inputs M × [B,3,H,W] float32, normalised; null: missing (mask token)
   * @throws ModelError's code where inputs do not fit; M3L_WORKER_CLOSED, M3L_WORKER_DIED
   */
  forward(
    inputs: readonly (Tensor | null)[],
    options: ForwardOptions & CallOptions = {},
  ): Promise<Prediction> {
    const [rest, signal] = split(options, 'forward');
    return this.#model.call('forward', [inputs, rest], signal);
  }

  /** The logits of the heads asked for, in their order, without the work that only the others need. */
  forwardHeads(
    inputs: readonly (Tensor | null)[],
    heads: readonly Head[],
    options: ForwardOptions & CallOptions = {},
  ): Promise<Tensor[]> {
    const [rest, signal] = split(options, 'forwardHeads');
    return this.#model.call('forwardHeads', [inputs, heads, rest], signal);
  }

  /**
   * The class of each pixel by each head, as `predictClasses` of m3l/evaluation; a missing modality is
   * filled as the run's configuration says where the model has no mask token.
   */
  predictClasses(
    inputs: readonly (Tensor | null)[],
    options: RunClassesOptions & CallOptions,
  ): Promise<Tensor[]> {
    const [rest, signal] = split(options, 'predictClasses');
    return this.#model.call('predictClasses', [inputs, rest], signal);
  }

  /** Why it answers no more, once it does not: M3L_WORKER_CLOSED, M3L_WORKER_DIED. */
  get ended(): Promise<M3lError> {
    return this.#model.ended;
  }

  /** Ends the thread as soon as no operator runs there; calls that wait are rejected at once. */
  close(): Promise<void> {
    return this.#model.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/**
 * The network of a trained run (its framework's headline) in a worker, prepared for inference. The
 * weights are read and packed there too, so that nothing of it holds the event loop.
 *
 *     await using predictor = await predictorInWorker('run');
 *     const { inputs, size } = await loadInputs(predictor.specs, files, predictor.loading);
 *     const [classes] = await predictor.predictClasses(inputs, { size, heads: ['ensemble'] });
 *
 * @throws RunError, CheckpointError, ConfigError by their codes
 */
export async function predictorInWorker(
  run: RunFolder | string,
  options: WorkerPredictorOptions = {},
): Promise<WorkerPredictor> {
  checkArguments(
    'predictorInWorker',
    { run, options },
    { run: is.either(is.text, is.instance(RunFolder)), options: is.record },
  );

  const { measure, ...which } = withDefaults<NetworkOptions & { measure: boolean }>(
    'predictorInWorker',
    { checkpoint: 'latest', device: undefined, sets: [], measure: true },
    options,
  );
  calmThreads();
  const model = await inWorker<RunPredictor>(new URL('./run-predictor.js', import.meta.url), {
    data: networkOf(run, which, { measure }),
  });
  try {
    return new WorkerPredictor(model, await model.call('facts', []));
  } catch (error) {
    await model.close();
    throw error;
  }
}

function split<Options extends CallOptions>(
  options: Options,
  where: string,
): [Omit<Options, 'signal'>, CallOptions] {
  if (typeof options !== 'object' || options === null) {
    throw new ArgumentError(`${where}: found ${describe(options)}, expected options`);
  }
  const { signal, ...rest } = options;
  return [rest, { signal }];
}
