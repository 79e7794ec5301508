import type { FastifyInstance } from 'fastify';
import { type ImagePredictor, openPredictor, RunFolder } from '../experiment/index.js';
import { urlOf, whyNotThere } from '../http/host.js';
import { checkArguments } from '../torch/check-arguments.js';
import type { M3lError } from '../torch/errors.js';
import { packageVersion } from '../torch/installation.js';
import { withDefaults } from '../torch/require.js';
import * as is from '../torch/rules.js';
import { ServeError } from './errors.js';
import { Metrics } from './metrics.js';
import { type ServeOptions, type ServeSettings, settingsOf } from './options.js';
import { addRoutes } from './routes.js';
import { createServer } from './server.js';

/** A server that runs; made by {@link serve}. */
export class Server {
  /** Where it is asked: `http://127.0.0.1:8080`. */
  readonly url: string;
  readonly predictor: ImagePredictor;
  /** Settles where the model died and is not started anew any more, with why; else it never does. */
  readonly failed: Promise<M3lError>;
  readonly #server: FastifyInstance;
  readonly #state: { closing: boolean };
  readonly #graceSeconds: number;
  #closed: Promise<boolean> | null = null;

  private constructor(
    url: string,
    parts: {
      predictor: ImagePredictor;
      failed: Promise<M3lError>;
      server: FastifyInstance;
      state: { closing: boolean };
      graceSeconds: number;
    },
  ) {
    this.url = url;
    this.predictor = parts.predictor;
    this.failed = parts.failed;
    this.#server = parts.server;
    this.#state = parts.state;
    this.#graceSeconds = parts.graceSeconds;
  }

  static async start(run: RunFolder | string, options: ServeOptions): Promise<Server> {
    const settings = settingsOf(options);
    const metrics = new Metrics();
    const { checkpoint, device, sets, maxBatch, window, maxQueue, maxPixels } = settings;
    const { restarts, hangSeconds } = settings;
    let fail!: (error: M3lError) => void;
    const failed = new Promise<M3lError>((resolve) => {
      fail = resolve;
    });
    const predictor = await openPredictor(run, {
      ...{ checkpoint, device, sets, maxBatch, window, maxQueue, maxPixels, restarts, hangSeconds },
      onBatch: (batch) => metrics.batch(batch),
      onDeath({ error, restartIn }) {
        settings.log(error.message);
        if (restartIn === null) fail(error);
        else metrics.restart();
      },
    });
    const state = { closing: false };
    const server = createServer(settings, state, metrics);
    const version = packageVersion() ?? 'unknown';
    addRoutes(server, { predictor, settings, metrics, version });
    try {
      const url = await listen(server, settings);
      const { graceSeconds } = settings;
      return new Server(url, { predictor, failed, server, state, graceSeconds });
    } catch (error) {
      await server.close();
      await predictor.close();
      throw error;
    }
  }

  /**
   * Refuses what comes from now on, answers what is under way within the grace, and ends.
   * @param options `graceSeconds`: instead of those that it was started with
   * @returns whether all that was under way has been answered
   * @throws M3lError M3L_WORKER_STUCK where the model's thread hangs in a native call
   */
  close(options: { graceSeconds?: number } = {}): Promise<boolean> {
    checkArguments('close', { options }, { options: is.record });
    const { graceSeconds } = withDefaults('close', { graceSeconds: this.#graceSeconds }, options);
    checkArguments('close', { graceSeconds }, { graceSeconds: is.atMost(is.notNegative, 86_400) });
    this.#closed ??= this.#end(graceSeconds);
    return this.#closed;
  }

  async #end(graceSeconds: number): Promise<boolean> {
    this.#state.closing = true;
    let answered = true;
    const cut = setTimeout(() => {
      answered = false;
      this.#server.server.closeAllConnections();
    }, graceSeconds * 1000);
    await this.#server.close();
    clearTimeout(cut);
    await this.predictor.close();
    return answered;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close().then(() => {});
  }
}

/**
 * Serves the network of a run over HTTP: `/predict`, `/predict/batch`, `/model`, `/health`, `/ready`,
 * `/metrics`, `/openapi.json`. The model is in a worker, so that the event loop never waits for it.
 *
 *     await using server = await serve('run', { port: 8080 });
 *
 * @throws RunError, CheckpointError, ConfigError by their codes; ServeError M3L_SERVE_LISTEN
 */
export function serve(run: RunFolder | string, options: ServeOptions = {}): Promise<Server> {
  checkArguments(
    'serve',
    { run, options },
    { run: is.either(is.text, is.instance(RunFolder)), options: is.record },
  );
  return Server.start(run, options);
}

async function listen(server: FastifyInstance, { host, port }: ServeSettings): Promise<string> {
  try {
    await server.listen({ host, port });
  } catch (error) {
    throw new ServeError(
      'M3L_SERVE_LISTEN',
      `${host}:${port} cannot be listened at: ${whyNotThere(error)}. Give another --port (0: any that is free) or --host.`,
      { cause: error },
    );
  }
  return urlOf(server, host);
}
