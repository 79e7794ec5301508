import { z } from 'zod';
import { ConfigError, reasonOf, systemCode } from '../errors.js';

/** Seconds that a request may take: a step of training may hold the event loop for some of them. */
const LONGEST = 30;

/** What a request came to that was not done; `status` is null where no answer came. */
export class MlflowError extends Error {
  constructor(
    message: string,
    readonly status: number | null = null,
  ) {
    super(message);
  }

  /** Whether the same request would be refused again. */
  get isFinal(): boolean {
    const { status } = this;
    return status !== null && status >= 400 && status < 500 && status !== 408 && status !== 429;
  }
}

const experimentSchema = z.object({ experiment: z.object({ experiment_id: z.string() }) });
const createdSchema = z.object({ experiment_id: z.string() });
const runSchema = z.object({ run: z.object({ info: z.object({ run_id: z.string() }) }) });

/** The few requests of MLflow's REST interface, 2.0, that logging needs. */
export class MlflowServer {
  readonly #headers: Record<string, string>;

  /** @param address of the server, without user and password */
  constructor(
    readonly address: string,
    headers: Record<string, string> = {},
  ) {
    // A server ends a kept connection after some seconds, unseen while a step holds the event loop: the
    // next request would meet its end.
    this.#headers = { 'content-type': 'application/json', connection: 'close', ...headers };
  }

  /**
   * The server that the variables name which MLflow's own clients read.
   * @throws ConfigError M3L_LOGGING
   */
  static ofEnvironment(): MlflowServer {
    const { MLFLOW_TRACKING_URI: uri = '', MLFLOW_TRACKING_TOKEN: token } = process.env;
    const url = URL.canParse(uri) ? new URL(uri) : null;
    if (url === null || !/^https?:$/.test(url.protocol)) {
      const found = uri === '' ? 'is not set' : `is '${uri}'`;
      throw new ConfigError(
        'M3L_LOGGING',
        `logging: mlflow: MLFLOW_TRACKING_URI ${found}, expected the address of a server, such as ` +
          'http://localhost:5000. Set it, or take mlflow out of logging.',
      );
    }
    const { MLFLOW_TRACKING_USERNAME: user = '', MLFLOW_TRACKING_PASSWORD: word = '' } =
      process.env;
    const [name, password] =
      url.username === ''
        ? [user, word]
        : [decodeURIComponent(url.username), decodeURIComponent(url.password)];
    const authorization = token
      ? `Bearer ${token}`
      : name === ''
        ? undefined
        : `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`;
    const address = `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
    return new MlflowServer(address, authorization === undefined ? {} : { authorization });
  }

  /** Makes a run, and its experiment where that is not there. */
  async createRun(experiment: string, name: string, signal: AbortSignal): Promise<string> {
    const id = await this.#experiment(experiment, signal);
    const body = {
      experiment_id: id,
      run_name: name,
      start_time: Date.now(),
      tags: [
        { key: 'mlflow.runName', value: name },
        { key: 'mlflow.source.name', value: 'm3l' },
      ],
    };
    const { run } = checked(runSchema, await this.post('runs/create', body, signal));
    return run.info.run_id;
  }

  async #experiment(name: string, end: AbortSignal): Promise<string> {
    const query = `experiments/get-by-name?experiment_name=${encodeURIComponent(name)}`;
    try {
      const found = await this.#request('GET', query, undefined, end);
      return checked(experimentSchema, found).experiment.experiment_id;
    } catch (error) {
      if (!(error instanceof MlflowError && error.status === 404)) throw error;
    }
    return checked(createdSchema, await this.post('experiments/create', { name }, end))
      .experiment_id;
  }

  /** @throws MlflowError */
  post(what: string, body: unknown, end: AbortSignal): Promise<unknown> {
    return this.#request('POST', what, JSON.stringify(body), end);
  }

  async #request(
    method: string,
    what: string,
    body: string | undefined,
    end: AbortSignal,
  ): Promise<unknown> {
    const signal = AbortSignal.any([AbortSignal.timeout(1000 * LONGEST), end]);
    const url = `${this.address}/api/2.0/mlflow/${what}`;
    let status: number | null = null;
    try {
      const answer = await fetch(url, {
        method,
        headers: this.#headers,
        signal,
        ...(body === undefined ? {} : { body }),
      });
      const text = await answer.text();
      if (answer.ok) return text === '' ? {} : JSON.parse(text);
      status = answer.status;
      throw new Error(`answered ${status}: ${text.replaceAll(/\s+/g, ' ').slice(0, 200)}`);
    } catch (error) {
      // What fetch rejects with says little; its cause tells.
      const cause = error instanceof Error && error.cause ? error.cause : error;
      const reason = reasonOf(cause) || systemCode(cause);
      throw new MlflowError(`${this.address}, ${what.split('?')[0]}: ${reason}`, status);
    }
  }
}

function checked<Schema extends z.ZodType>(schema: Schema, answer: unknown): z.infer<Schema> {
  const result = schema.safeParse(answer);
  if (result.success) return result.data;
  throw new MlflowError(
    'the answer is not one of MLflow’s: is it the address of a tracking server?',
  );
}
