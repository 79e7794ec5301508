/** The line to a model's thread: one request at a time, and whatever ends leaves no tensor under way. */
import { Worker } from 'node:worker_threads';
import { ArgumentError, M3lError } from '../../torch/errors.js';
import type { SharedTensor } from '../../torch/index.js';
import * as torch from '../../torch/index.js';
import { fromPortable } from '../../torch/portable-error.js';
import type { Reply, Request } from './messages.js';
import { discard, mapTensors, type Parcel, pack } from './parcel.js';

interface Call {
  /** Its arguments, with tensors of the call's own in the places of the caller's. */
  readonly held: unknown;
  readonly request: (given: Parcel) => Request;
  resolve(result: Parcel): void;
  reject(error: unknown): void;
}

/** What the thread does now; without a call, nobody waits for it any more. */
interface Current {
  call: Call | null;
  readonly shared: readonly SharedTensor[];
  /** Whether the result is being handed over. */
  taking: boolean;
}

export class ModelLine {
  readonly #worker: Worker;
  readonly #gone: Promise<void>;
  #waiting: Call[] = [];
  #current: Current | null = null;
  #ready = false;
  #ended: M3lError | null = null;
  #tellEnd!: (reason: M3lError) => void;
  /** Why it answers no more, once it does not: M3L_WORKER_CLOSED, M3L_WORKER_DIED. */
  readonly ended = new Promise<M3lError>((resolve) => {
    this.#tellEnd = resolve;
  });

  constructor() {
    // The program's flags are not the thread's: with --input-type of a `node -e` it cannot start.
    const options = { execArgv: [], name: 'm3l model' };
    this.#worker = new Worker(new URL('./model-thread.js', import.meta.url), options);
    this.#worker.on('message', (reply: Reply) => this.#hear(reply));
    this.#worker.on('messageerror', (error) => this.#end(died(error)));
    this.#worker.on('error', (error) => this.#end(died(error)));
    this.#gone = new Promise((resolve) => {
      this.#worker.once('exit', (code) => {
        this.#end(died(new Error(`exit code ${code}`)));
        discard(this.#current?.shared ?? []);
        this.#current = null;
        resolve();
      });
    });
  }

  /**
   * What the thread answers, after the requests before. Tensors of `given` are held until it has them.
   * @throws M3lError M3L_WORKER_CLOSED, M3L_WORKER_DIED; what the thread threw; the signal's reason
   */
  ask(given: unknown, request: Call['request'], signal?: AbortSignal): Promise<Parcel> {
    signal?.throwIfAborted();
    if (this.#ended !== null) throw this.#ended;
    const held = torch.detached(() => mapTensors(given, (tensor) => tensor.detach()));
    let call!: Call;
    const answered = new Promise<Parcel>((resolve, reject) => {
      call = { held, request, resolve, reject };
    });
    this.#waiting.push(call);
    this.#next();
    if (signal === undefined) return answered;
    const abandon = () => this.#abandon(call, signal.reason);
    signal.addEventListener('abort', abandon);
    return answered.finally(() => signal.removeEventListener('abort', abandon));
  }

  /**
   * Ends the thread, as soon as no operator runs there; what is asked is rejected at once.
   * @param reason why it ends, where it is not that nobody needs it any more
   */
  async close(reason?: Error): Promise<void> {
    this.#end(reason === undefined ? closed() : died(reason));
    // What is handed over is received: terminated in between, the thread would leave it to nobody.
    while (this.#current?.taking) await new Promise((resolve) => setImmediate(resolve));
    await this.#worker.terminate();
    await this.#gone;
  }

  #next(): void {
    while (this.#ready && this.#current === null) {
      // An idle model must not keep the process alive; one that owes an answer must.
      this.#worker.unref();
      const call = this.#waiting.shift();
      if (call === undefined) return;
      this.#current = this.#send(call);
      this.#worker.ref();
    }
  }

  #send(call: Call): Current | null {
    let shared: readonly SharedTensor[] = [];
    try {
      const given = pack(call.held);
      shared = given.tensors;
      this.#worker.postMessage(call.request(given));
      return { call, shared, taking: false };
    } catch (error) {
      discard(shared);
      call.reject(unsendable(error));
      return null;
    } finally {
      torch.dispose(call.held);
    }
  }

  #hear(reply: Reply): void {
    if (reply === 'ready') this.#ready = true;
    else if (reply === 'done') this.#take(this.#current!);
    else this.#settle(this.#current!, reply);
    if (this.#ended === null) this.#next();
  }

  #take(current: Current): void {
    current.taking = current.call !== null;
    this.#worker.postMessage({ take: current.taking } satisfies Request);
    if (!current.taking) this.#current = null;
  }

  #settle({ call, shared }: Current, reply: Exclude<Reply, string>): void {
    this.#current = null;
    if ('error' in reply) {
      // It may have failed before it received them all.
      discard(shared);
      const error = fromPortable(reply.error);
      error.stack = reply.stack;
      call?.reject(error);
    } else if (call === null) discard(reply.result.tensors);
    else call.resolve(reply.result);
  }

  #abandon(call: Call, reason: unknown): void {
    if (this.#current?.call === call) this.#current.call = null;
    else {
      this.#waiting = this.#waiting.filter((each) => each !== call);
      torch.dispose(call.held);
    }
    call.reject(reason);
  }

  #end(error: M3lError): void {
    if (this.#ended !== null) return;
    this.#ended = error;
    this.#tellEnd(error);
    const calls = [...(this.#current?.call ? [this.#current.call] : []), ...this.#waiting];
    for (const call of calls) this.#abandon(call, error);
  }
}

function closed(): M3lError {
  return new M3lError(
    'M3L_WORKER_CLOSED',
    'the model in a worker was closed before it answered, expected it open until then: make another with inWorker, or close it later',
  );
}

function died(error: unknown): M3lError {
  const reason = error instanceof Error ? error.message : String(error);
  return new M3lError(
    'M3L_WORKER_DIED',
    `the worker of the model stopped (${reason}), expected it to run until it is closed: make another with inWorker`,
    { cause: error },
  );
}

/** Of a value that no message takes, such as a function, Node says which. */
function unsendable(error: unknown): unknown {
  if (error instanceof M3lError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new ArgumentError(`an argument cannot be sent to the worker: ${reason}`, { cause: error });
}
