/** The thread of a model in a worker: makes the model, then answers its calls, one after another. */
import { parentPort } from 'node:worker_threads';
import { Module } from '../../nn/index.js';
import { ArgumentError, describe } from '../../torch/errors.js';
import * as torch from '../../torch/index.js';
import { toPortable } from '../../torch/portable-error.js';
import type { Reply, Request } from './messages.js';
import { discard, type Parcel, pack, unpack } from './parcel.js';

const port = parentPort!;
const reply = (message: Reply): void => port.postMessage(message);

type Model = Record<string, (...args: unknown[]) => unknown>;

let model: Model;

async function create(url: string, factory: string, data: Parcel): Promise<undefined> {
  const exported = ((await import(url)) as Record<string, unknown>)[factory];
  if (typeof exported !== 'function') {
    throw new ArgumentError(
      `inWorker: found ${describe(exported)} as the export '${factory}' of ${url}, expected a function that makes the model`,
    );
  }
  // What the model keeps of the data belongs to no call.
  const made: unknown = await torch.detached(() => exported(unpack(data)));
  if (typeof (made as Model | null | undefined)?.forward !== 'function') {
    throw new ArgumentError(
      `inWorker: '${factory}' of ${url} gave ${describe(made)}, expected a module, or an object with a method \`forward\``,
    );
  }
  if (made instanceof Module) made.eval();
  torch.setGradEnabled(false);
  model = made as Model;
  return undefined;
}

async function call(method: string, args: Parcel): Promise<unknown> {
  const given = unpack(args) as unknown[];
  if (typeof model[method] !== 'function') {
    throw new ArgumentError(`inWorker: the model has no method '${method}'`);
  }
  return await model[method](...given);
}

/** Whether the other side, told that a result is there, takes it. */
let decide: (take: boolean) => void;

function offer(): Promise<boolean> {
  const decided = new Promise<boolean>((resolve) => {
    decide = resolve;
  });
  reply('done');
  return decided;
}

function handOver(value: unknown): void {
  const result = pack(value);
  try {
    reply({ result });
  } catch (error) {
    discard(result.tensors);
    throw new ArgumentError(`a result cannot be sent: ${(error as Error).message}`);
  }
}

async function answer(request: Exclude<Request, { take: boolean }>): Promise<void> {
  try {
    await torch.scope(async () => {
      const made =
        'module' in request
          ? await create(request.module, request.factory, request.data)
          : await call(request.method, request.args);
      if (await offer()) handOver(made);
    });
  } catch (error) {
    const stack = error instanceof Error ? (error.stack ?? '') : '';
    reply({ error: toPortable(error), stack });
  }
}

port.on('message', (request: Request) => {
  if ('take' in request) decide(request.take);
  else void answer(request);
});
reply('ready');
