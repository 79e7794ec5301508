import { basename, join } from 'node:path';
import { z } from 'zod';
import { writeFileAtomic } from '../../torch/atomic-write.js';
import { entriesOf } from '../config/flattened.js';
import { reasonOf } from '../errors.js';
import { readIfWhole } from '../finished-run.js';
import type { MetricsLine } from '../metrics.js';
import type { Ending, LoggedRun, Logger, LoggerDescriptor } from './logger.js';
import { MlflowError, MlflowServer } from './mlflow-server.js';
import { scalarsOf } from './scalars.js';

/** What a request to log may hold. */
const MOST = { metrics: 1000, params: 100, key: 250, value: 500 };
/** Values that wait for a server that is away; the oldest make room. */
const WAITING = 200_000;
/** Seconds: between requests, after a failure at first and at most, for what is left at the end. */
const SECONDS = { between: 1, retry: 5, longest: 60, end: 10 };

const STATUS: Record<Ending, string> = {
  finished: 'FINISHED',
  stopped: 'KILLED',
  failed: 'FAILED',
};

/** Where on which server the run is. */
const placeSchema = z.object({ server: z.string(), experiment: z.string(), run: z.string() });

interface Metric {
  key: string;
  value: number;
  timestamp: number;
  step: number;
}

/** A run of an MLflow server, by its REST interface. */
export const mlflow = {
  name: 'mlflow',
  summary:
    'metrics and parameters to the server MLFLOW_TRACKING_URI (experiment MLFLOW_EXPERIMENT_NAME or the configuration’s name); a resumed run goes on in its own',
  check: () => {
    MlflowServer.ofEnvironment();
  },
  open: (run): Logger => new MlflowLogger(MlflowServer.ofEnvironment(), run),
} as const satisfies LoggerDescriptor;

/** Sends in the background. A server that is away is tried again now and then, and told of once. */
class MlflowLogger implements Logger {
  readonly #server: MlflowServer;
  readonly #run: LoggedRun;
  readonly #file: string;
  readonly #abort = new AbortController();
  /** The server's name of the run, once it is known. */
  #id: string | null = null;
  #params: { key: string; value: string }[] = [];
  #waiting: Metric[] = [];
  #sending: Promise<void> | null = null;
  #next = 0;
  #retry = SECONDS.retry;
  #told = false;
  #ended = false;

  constructor(server: MlflowServer, run: LoggedRun) {
    this.#server = server;
    this.#run = run;
    this.#file = join(run.folder, 'mlflow.json');
    this.#send();
  }

  log(line: MetricsLine): void {
    if (this.#ended) return;
    this.#keep(line);
    if (Date.now() >= this.#next) this.#send();
  }

  async close(ending: Ending): Promise<void> {
    const limit = setTimeout(() => this.#abort.abort(), 1000 * SECONDS.end);
    try {
      await this.#sending;
      if (!this.#ended) await this.#sendAll();
      if (!this.#ended) await this.#update({ status: STATUS[ending], end_time: Date.now() });
    } catch (error) {
      const reason = this.#abort.signal.aborted
        ? `no answer within ${SECONDS.end} seconds`
        : reasonOf(error);
      const lost = this.#waiting.length;
      this.#run.note(
        `logging: mlflow did not take ${lost === 0 ? 'the end' : `${lost} values`}: ${reason}.`,
      );
    } finally {
      clearTimeout(limit);
      this.#ended = true;
    }
  }

  #keep(line: MetricsLine): void {
    const timestamp = Date.now();
    for (const [name, value] of scalarsOf(line, this.#run.classes)) {
      this.#waiting.push({ key: keyOf(name), value, timestamp, step: line.iteration });
    }
    if (this.#waiting.length > 1.1 * WAITING) this.#waiting = this.#waiting.slice(-WAITING);
  }

  #send(): void {
    if (this.#sending !== null) return;
    this.#sending = this.#sendAll()
      .then(
        () => {
          this.#next = Date.now() + 1000 * SECONDS.between;
          this.#retry = SECONDS.retry;
        },
        (error) => {
          this.#tell(error);
          this.#next = Date.now() + 1000 * this.#retry;
          this.#retry = Math.min(2 * this.#retry, SECONDS.longest);
        },
      )
      .finally(() => {
        this.#sending = null;
      });
  }

  async #sendAll(): Promise<void> {
    this.#id ??= (await this.#goOn()) ?? (await this.#begin());
    while (this.#params.length > 0) {
      const params = this.#params.slice(0, MOST.params);
      await this.#post('runs/log-batch', { run_id: this.#id, params });
      this.#params.splice(0, params.length);
    }
    while (this.#waiting.length > 0) {
      const metrics = this.#waiting.slice(0, MOST.metrics);
      await this.#post('runs/log-batch', { run_id: this.#id, metrics });
      // Meanwhile there may be more, and of many the first may have gone.
      this.#waiting.splice(0, this.#waiting.indexOf(metrics.at(-1)!) + 1);
    }
  }

  #post(what: string, body: unknown): Promise<unknown> {
    return this.#server.post(what, body, this.#abort.signal);
  }

  #update(facts: Record<string, unknown>, run = this.#id): Promise<unknown> {
    return this.#post('runs/update', { run_id: run, ...facts });
  }

  /** The run that was begun on this server for the same training; null where there is none. */
  async #goOn(): Promise<string | null> {
    const known = placeSchema.safeParse(readIfWhole(this.#file)).data;
    if (this.#run.iteration === 0 || known === undefined) return null;
    if (known.server !== this.#server.address || known.experiment !== this.#experiment) return null;
    try {
      await this.#update({ status: 'RUNNING' }, known.run);
      return known.run;
    } catch (error) {
      if (error instanceof MlflowError && error.status === 404) return null;
      throw error;
    }
  }

  /** A new run, to which all goes that was logged before. */
  async #begin(): Promise<string> {
    const { config, folder, earlier } = this.#run;
    const { signal } = this.#abort;
    const run = await this.#server.createRun(this.#experiment, basename(folder), signal);
    const place = { server: this.#server.address, experiment: this.#experiment, run };
    writeFileAtomic(this.#file, `${JSON.stringify(place)}\n`);
    this.#params = paramsOf(config);
    const since = this.#waiting;
    this.#waiting = [];
    for (const line of earlier) this.#keep(line);
    this.#waiting.push(...since);
    return run;
  }

  get #experiment(): string {
    return process.env.MLFLOW_EXPERIMENT_NAME || this.#run.config.name;
  }

  #tell(error: unknown): void {
    const refused = error instanceof MlflowError && error.isFinal;
    if (refused) this.#ended = true;
    if (this.#told && !refused) return;
    this.#told = true;
    this.#run.note(
      `logging: mlflow: ${reasonOf(error)}. Training goes on; ` +
        (refused ? 'nothing more is sent.' : 'it is tried again, and what waits is kept.'),
    );
  }
}

/** What MLflow takes in a name. */
function keyOf(name: string): string {
  return name.replaceAll(/[^\w\-./ ]/g, '_').slice(0, MOST.key);
}

function paramsOf(config: unknown): { key: string; value: string }[] {
  return entriesOf(config).map(([key, value]) => {
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    return { key: keyOf(key), value: text.slice(0, MOST.value) };
  });
}
