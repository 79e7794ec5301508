import { isAbsolute } from 'node:path';
import { pathToFileURL } from 'node:url';
import { checkArguments } from '../../torch/check-arguments.js';
import { ArgumentError, describe, type M3lError } from '../../torch/errors.js';
import { requireIterable, requireText, withDefaults } from '../../torch/require.js';
import * as is from '../../torch/rules.js';
import { ModelLine } from './model-line.js';
import { unpack } from './parcel.js';

/** What a worker can hold: a module, or anything else with a `forward`. */
export interface Callable {
  forward(...args: never[]): unknown;
}

/** The names of a model's methods. */
export type MethodOf<Model> = {
  [Name in keyof Model]: Model[Name] extends (...args: never[]) => unknown ? Name : never;
}[keyof Model] &
  string;

type Arguments<Member> = Member extends (...args: infer Args) => unknown ? Args : never;
type Result<Member> = Member extends (...args: never[]) => infer R ? Awaited<R> : never;

/** What a call to a worker takes by name. */
export interface CallOptions {
  /** Takes the call back: it is rejected with the signal's reason, and skipped where it has not begun. */
  signal?: AbortSignal | undefined;
}

/** What `inWorker` takes by name. */
export interface WorkerOptions {
  /** The name of the function that makes the model (`default`). */
  factory?: string;
  /** What the function is called with: anything that can be sent, tensors in it, which are shared. */
  data?: unknown;
}

/**
 * A model that lives in a thread of its own; made by {@link inWorker}. Calls are answered one after
 * another. Tensors go both ways without a copy, in arrays, plain objects, Maps and Sets: what a call is
 * given must not be written to before it is done, and no gradient passes through. What comes back
 * belongs to the scope that awaits it.
 */
export class WorkerModel<Model extends Callable = { forward(...inputs: unknown[]): unknown }> {
  readonly #line: ModelLine;

  private constructor(line: ModelLine) {
    this.#line = line;
  }

  static async create<Model extends Callable>(
    module: string | URL,
    options: WorkerOptions,
  ): Promise<WorkerModel<Model>> {
    checkArguments('WorkerModel.create', { options }, { options: is.record });

    const url = urlOf(module);
    const { factory, data } = withDefaults<Required<WorkerOptions>>(
      'inWorker',
      { factory: 'default', data: undefined },
      options,
    );
    requireText(factory, 'inWorker: factory', 'the name of an export');
    const line = new ModelLine();
    try {
      await line.ask(data, (given) => ({ module: url, factory, data: given }));
    } catch (error) {
      await line.close();
      throw error;
    }
    return new WorkerModel(line);
  }

  /**
   * What the model's `forward` gives.
   * @throws M3lError M3L_WORKER_CLOSED, M3L_WORKER_DIED; what the model threw, with its code
   */
  forward(...args: Arguments<Model['forward']>): Promise<Result<Model['forward']>> {
    return this.call('forward' as MethodOf<Model>, args as never) as Promise<
      Result<Model['forward']>
    >;
  }

  /** As `forward`, of any method that the model has. */
  async call<Name extends MethodOf<Model>>(
    method: Name,
    args: Readonly<Arguments<Model[Name]>>,
    options: CallOptions = {},
  ): Promise<Result<Model[Name]>> {
    requireText(method, 'call', 'the name of a method');
    requireIterable(args, 'call: the arguments');
    const { signal } = withDefaults<CallOptions>('call', { signal: undefined }, options);
    if (signal !== undefined && !(signal instanceof AbortSignal)) {
      throw new ArgumentError(
        `call: found ${describe(signal)} for signal, expected an AbortSignal`,
      );
    }
    const reply = await this.#line.ask([...args], (given) => ({ method, args: given }), signal);
    // In the scope of who awaits, which is this function's.
    return unpack(reply) as Result<Model[Name]>;
  }

  /** Why it answers no more, once it does not: M3L_WORKER_CLOSED, M3L_WORKER_DIED. */
  get ended(): Promise<M3lError> {
    return this.#line.ended;
  }

  /** Ends the thread as soon as no operator runs there; calls that wait are rejected at once. */
  close(): Promise<void> {
    return this.#line.close();
  }

  /** As `close`, of one that answers no more: what is asked is rejected with M3L_WORKER_DIED, for that reason. */
  kill(reason: Error): Promise<void> {
    checkArguments('kill', { reason }, { reason: is.instance(Error) });

    return this.#line.close(reason);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/**
 * Makes a model in a worker thread, so that `await model.forward(x)` lets the event loop go on.
 *
 *     // net.js: export default ({ state }) => { const net = new Net(); net.loadStateDict(state); return net; }
 *     await using net = await inWorker(new URL('./net.js', import.meta.url), { data: { state } });
 *     const y = await net.forward(x);
 *
 * The module's function may be async and may give any object with a `forward`; an nn module is set to
 * evaluation mode. Gradients are off in the thread. `net.loadStateDict(state, { assign: true })` there
 * takes weights over without a copy.
 *
 * @param module URL (or absolute path) of the module, which imports m3l itself
 * @throws ArgumentError where it exports no such function; what the function throws
 */
export function inWorker<Model extends Callable = { forward(...inputs: unknown[]): unknown }>(
  module: string | URL,
  options: WorkerOptions = {},
): Promise<WorkerModel<Model>> {
  checkArguments('inWorker', { options }, { options: is.record });

  return WorkerModel.create<Model>(module, options);
}

function urlOf(module: unknown): string {
  if (module instanceof URL) return module.href;
  if (typeof module === 'string' && isAbsolute(module)) return pathToFileURL(module).href;
  if (typeof module === 'string' && URL.canParse(module)) return module;
  throw new ArgumentError(
    `inWorker: found ${describe(module)}, expected the URL of a module, as new URL('./net.js', import.meta.url), or its absolute path`,
  );
}
