/** A few worker threads that answer tasks in order: the pool, and what a thread of it runs. */

import { parentPort, Worker } from 'node:worker_threads';
import { checkArguments } from '../torch/check-arguments.js';
import { fromPortable, type PortableError, toPortable } from '../torch/portable-error.js';
import * as is from '../torch/rules.js';
import { DataError } from './errors.js';

export interface WorkerRequest<Task> {
  readonly id: number;
  readonly task: Task;
}

export type WorkerReply<Result> =
  | { readonly id: number; readonly result: Result }
  | { readonly id: number; readonly error: PortableError };

interface Waiting<Result> {
  readonly member: Member;
  resolve(result: Result): void;
  reject(error: unknown): void;
}

interface Member {
  readonly worker: Worker;
  pending: number;
}

/** Worker threads that share tasks. */
export class WorkerPool<Task, Result> {
  private readonly members: Member[];
  private readonly waiting = new Map<number, Waiting<Result>>();
  private nextId = 0;
  private closedBy: unknown = null;

  /** Starts `size` threads that run the module at `entry` with `data` as their `workerData`. */
  constructor(entry: URL, size: number, data: unknown) {
    checkArguments('WorkerPool', { entry, size }, { entry: is.instance(URL), size: is.size });

    this.members = Array.from({ length: size }, () => {
      // The program's flags are not the thread's: with --input-type of a `node -e` it cannot start.
      const worker = new Worker(entry, { workerData: data, execArgv: [] });
      const member: Member = { worker, pending: 0 };
      worker.on('message', (reply: WorkerReply<Result>) => this.settle(reply));
      worker.on('error', (error) => this.fail(error));
      worker.on('exit', (code) => this.fail(new Error(`exit code ${code}`)));
      // An idle pool must not keep the process alive; one that owes an answer must.
      worker.unref();
      return member;
    });
  }

  get size(): number {
    return this.members.length;
  }

  /** Has one worker do a task, after those it was given before. Rejects with what the task threw. */
  run(task: Task, workerIndex: number): Promise<Result> {
    if (this.closedBy !== null) return Promise.reject(this.closedBy);
    const member = this.members[workerIndex % this.members.length]!;
    const id = this.nextId++;
    return new Promise<Result>((resolve, reject) => {
      this.waiting.set(id, { member, resolve, reject });
      if (member.pending++ === 0) member.worker.ref();
      member.worker.postMessage({ id, task } satisfies WorkerRequest<Task>);
    });
  }

  /** Stops the threads; tasks that wait reject with `reason`. A second call does nothing more. */
  async close(reason: unknown = closedError()): Promise<void> {
    this.closedBy ??= reason;
    this.rejectAll(this.closedBy);
    await Promise.all(this.members.map(({ worker }) => worker.terminate()));
  }

  private settle(reply: WorkerReply<Result>): void {
    const waiting = this.waiting.get(reply.id);
    if (!waiting) return;
    this.waiting.delete(reply.id);
    if (--waiting.member.pending === 0) waiting.member.worker.unref();
    if ('error' in reply) waiting.reject(fromPortable(reply.error, DataError));
    else waiting.resolve(reply.result);
  }

  private fail(error: unknown): void {
    if (this.closedBy !== null) return;
    const reason = error instanceof Error ? error.message : String(error);
    const memory = (error as NodeJS.ErrnoException).code === 'ERR_WORKER_OUT_OF_MEMORY';
    const died = new DataError(
      'M3L_WORKER_DIED',
      `a loader thread stopped (${reason}), expected it to run until the loader is closed. ` +
        (memory
          ? 'Its memory was too small: use fewer workers, a smaller cache or a smaller batch.'
          : 'With workers: 0 the same is done on the main thread, where the reason can be seen.'),
      { cause: error },
    );
    void this.close(died);
  }

  private rejectAll(reason: unknown): void {
    const all = [...this.waiting.values()];
    this.waiting.clear();
    for (const { reject } of all) reject(reason);
  }
}

function closedError(): DataError {
  return new DataError(
    'M3L_LOADER_CLOSED',
    'the loader was closed while, or before, a batch was asked for. Create a new one.',
  );
}

/** Answers the tasks of a `WorkerPool` one after another. `transfer` names the buffers to hand over. */
export function serve<Task, Result>(
  work: (task: Task) => Promise<Result>,
  transfer: (result: Result) => ArrayBuffer[] = () => [],
): void {
  const port = parentPort!;
  let last: Promise<void> = Promise.resolve();
  port.on('message', ({ id, task }: WorkerRequest<Task>) => {
    last = last.then(async () => {
      try {
        const result = await work(task);
        port.postMessage({ id, result } satisfies WorkerReply<Result>, transfer(result));
      } catch (error) {
        port.postMessage({ id, error: toPortable(error) } satisfies WorkerReply<Result>);
      }
    });
  });
}
