/** What a predictor asks: the network of a run, in the caller's thread or in one of its own. */
import { setTimeout as later } from 'node:timers/promises';
import { inWorker, type WorkerModel } from '../../inference/index.js';
import { M3lError } from '../../torch/errors.js';
import * as torch from '../../torch/index.js';
import { reasonOf } from '../errors.js';
import { calmThreads } from '../networks.js';
import { type NetworkFacts, RunPredictor, type ThreadData } from '../run-predictor.js';
import type { Pixels, SceneRequest } from './images.js';
import type { RunNetwork } from './scene-network.js';
import type { SceneAnswer } from './segment-images.js';
import { Watchdog } from './watchdog.js';

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
  /** M3L_WORKER_DIED; M3L_WORKER_STUCK where nothing but the end of the process ends it. */
  readonly error: M3lError;
  /** Seconds until another thread is started; null where none is any more. */
  readonly restartIn: number | null;
}

/** How a thread that dies is replaced, and one that hangs noticed. */
export interface ThreadOptions {
  /** How often within {@link RESTART_MINUTES}; then it stays dead. */
  readonly restarts: number;
  /** Without a sign of life; then it is ended. */
  readonly hangSeconds: number;
  readonly onDeath: ((death: ThreadDeath) => void) | undefined;
}

/** Deaths further back are forgotten. */
const RESTART_MINUTES = 10;
/** Seconds before the first restart; twice as many before each that follows. */
const FIRST_PAUSE = 0.5;
const LONGEST_PAUSE = 60;
/** Seconds within which an operator ends, and with it a thread that was told to; else it hangs, too. */
const LONGEST_OPERATOR = 10;

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

/** The network in a thread of its own: where that dies or hangs another is started, after a pause. */
export class ThreadEngine implements Engine {
  fault: M3lError | null = null;
  #model: WorkerModel<RunPredictor>;
  readonly #watchdog: Watchdog;
  #deaths: number[] = [];
  #restart: NodeJS.Timeout | null = null;
  #starting: Promise<void> = Promise.resolve();
  #closed = false;

  private constructor(
    readonly facts: NetworkFacts,
    model: WorkerModel<RunPredictor>,
    private readonly data: ThreadData,
    private readonly options: ThreadOptions,
  ) {
    this.#watchdog = new Watchdog(data.pulse, options.hangSeconds, () => this.#hung());
    this.#model = this.#watched(model);
  }

  static async open(network: RunNetwork, options: ThreadOptions): Promise<ThreadEngine> {
    calmThreads();
    const pulse = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
    const data = { ...network, pulse };
    const model = await modelOf(data);
    try {
      return new ThreadEngine(await model.call('facts', []), model, data, options);
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
      return await this.#watchdog.during(ask(model));
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
    if (this.fault?.code === 'M3L_WORKER_STUCK') throw this.fault;
    if (!(await endsSoon(this.#model))) throw stuck();
  }

  #hung(): void {
    const { hangSeconds } = this.options;
    const reason = `it gave no sign of life for ${hangSeconds} s, expected one at least as often (hangSeconds): allow more, or send smaller images`;
    void this.#model.kill(new Error(reason));
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
    if (!(await endsSoon(this.#model))) {
      this.fault = stuck();
      this.options.onDeath?.({ error: this.fault, restartIn: null });
      return;
    }
    try {
      this.#model = this.#watched(await modelOf(this.data));
      this.fault = null;
    } catch (error) {
      if (!this.#closed) this.#lost(`the model could not be started anew (${reasonOf(error)})`);
    }
  }
}

function modelOf(data: ThreadData): Promise<WorkerModel<RunPredictor>> {
  return inWorker(new URL('../run-predictor.js', import.meta.url), { data });
}

/** Whether its thread ends, which it cannot within a native call. */
async function endsSoon(model: WorkerModel<RunPredictor>): Promise<boolean> {
  const controller = new AbortController();
  const tooLate = later(LONGEST_OPERATOR * 1000, false, controller).catch(() => false);
  const ended = await Promise.race([model.close().then(() => true), tooLate]);
  controller.abort();
  return ended;
}

function stuck(): M3lError {
  return new M3lError(
    'M3L_WORKER_STUCK',
    `the model's thread hangs in a native call, expected that to end within ${LONGEST_OPERATOR} s: nothing but the end of the process ends it (kill -9 ${process.pid}), start that anew.`,
  );
}
