/** What a predictor asks: the network of a run, in the caller's thread or in one of its own. */
import { inWorker, type WorkerModel } from '../../inference/index.js';
import { M3lError } from '../../torch/errors.js';
import * as torch from '../../torch/index.js';
import { reasonOf } from '../errors.js';
import { calmThreads } from '../networks.js';
import { type NetworkFacts, RunPredictor } from '../run-predictor.js';
import type { Pixels, SceneRequest } from './images.js';
import type { RunNetwork } from './scene-network.js';
import type { SceneAnswer } from './segment-images.js';

export interface Engine {
  readonly facts: NetworkFacts;
  /** Why it cannot answer now; null where it can. */
  readonly fault: M3lError | null;
  segment(requests: SceneRequest[]): Promise<SceneAnswer[]>;
  picture(images: SceneRequest['images']): Promise<Pixels>;
  close(): Promise<void>;
}

/** What becomes of a model whose thread died. */
export interface ThreadDeath {
  /** M3L_WORKER_DIED */
  readonly error: M3lError;
  /** Seconds until another thread is started; null where none is any more. */
  readonly restartIn: number | null;
}

/** How a thread that dies is replaced. */
export interface RestartOptions {
  /** How often within {@link RESTART_MINUTES}; then it stays dead. */
  readonly restarts: number;
  readonly onDeath: ((death: ThreadDeath) => void) | undefined;
}

/** Deaths further back are forgotten. */
const RESTART_MINUTES = 10;
/** Seconds before the first restart; twice as many before each that follows. */
const FIRST_PAUSE = 0.5;
const LONGEST_PAUSE = 60;

/** The network in the caller's thread. */
export async function engineHere(network: RunNetwork): Promise<Engine> {
  const model = torch.detached(() => new RunPredictor(network));
  let working: Promise<unknown> = Promise.resolve();
  const segment = (requests: SceneRequest[]) => {
    const answers = torch.detached(() => model.segment(requests));
    working = answers.catch(() => {});
    return answers;
  };
  const picture = (images: SceneRequest['images']) => model.picture(images);
  const close = async () => {
    await working;
    model.dispose();
  };
  return { facts: model.facts(), fault: null, segment, picture, close };
}

/** The network in a thread of its own: where that dies another is started, after a pause. */
export class ThreadEngine implements Engine {
  fault: M3lError | null = null;
  #model: WorkerModel<RunPredictor>;
  #deaths: number[] = [];
  #restart: NodeJS.Timeout | null = null;
  #starting: Promise<void> = Promise.resolve();
  #closed = false;

  private constructor(
    readonly facts: NetworkFacts,
    model: WorkerModel<RunPredictor>,
    private readonly network: RunNetwork,
    private readonly options: RestartOptions,
  ) {
    this.#model = this.#watched(model);
  }

  static async open(network: RunNetwork, options: RestartOptions): Promise<ThreadEngine> {
    calmThreads();
    const model = await modelOf(network);
    try {
      return new ThreadEngine(await model.call('facts', []), model, network, options);
    } catch (error) {
      await model.close();
      throw error;
    }
  }

  segment(requests: SceneRequest[]): Promise<SceneAnswer[]> {
    return this.#asked((model) => model.call('segment', [requests]));
  }

  picture(images: SceneRequest['images']): Promise<Pixels> {
    return this.#asked((model) => model.call('picture', [images]));
  }

  async #asked<Answer>(
    ask: (model: WorkerModel<RunPredictor>) => Promise<Answer>,
  ): Promise<Answer> {
    if (this.fault !== null) throw this.fault;
    const model = this.#model;
    try {
      return await ask(model);
    } catch (error) {
      throw error instanceof M3lError && error.code === 'M3L_WORKER_DIED'
        ? this.#died(model, error)
        : error;
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    if (this.#restart !== null) clearTimeout(this.#restart);
    await this.#starting;
    await this.#model.close();
  }

  /** A thread may die while nobody asks it. */
  #watched(model: WorkerModel<RunPredictor>): WorkerModel<RunPredictor> {
    void model.ended.then((error) => this.#died(model, error));
    return model;
  }

  #died(model: WorkerModel<RunPredictor>, error: M3lError): M3lError {
    if (model === this.#model && this.fault === null && !this.#closed) {
      void model.close();
      this.#lost(`the model's thread stopped (${reasonOf(error.cause)})`);
    }
    return this.fault ?? error;
  }

  #lost(what: string): void {
    const now = performance.now();
    this.#deaths = this.#deaths.filter((then) => now - then < RESTART_MINUTES * 60_000);
    this.#deaths.push(now);
    const { restarts, onDeath } = this.options;
    const before = this.#deaths.length - 1;
    const restartIn = before < restarts ? Math.min(FIRST_PAUSE * 2 ** before, LONGEST_PAUSE) : null;
    this.fault = new M3lError(
      'M3L_WORKER_DIED',
      restartIn === null
        ? `${what}, and so did ${before} before it within ${RESTART_MINUTES} minutes, expected at most ${restarts} (restarts): see why, then open it anew.`
        : `${what}; another is started in ${restartIn} s: ask again then.`,
    );
    if (restartIn !== null) {
      this.#restart = setTimeout(() => {
        this.#starting = this.#start();
      }, restartIn * 1000).unref();
    }
    onDeath?.({ error: this.fault, restartIn });
  }

  async #start(): Promise<void> {
    try {
      this.#model = this.#watched(await modelOf(this.network));
      this.fault = null;
    } catch (error) {
      if (!this.#closed) this.#lost(`the model could not be started anew (${reasonOf(error)})`);
    }
  }
}

function modelOf(network: RunNetwork): Promise<WorkerModel<RunPredictor>> {
  return inWorker(new URL('../run-predictor.js', import.meta.url), { data: network });
}
