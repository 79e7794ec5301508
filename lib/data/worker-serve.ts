import { parentPort } from 'node:worker_threads';
import { toPortable } from './errors.js';
import type { WorkerReply, WorkerRequest } from './worker-pool.js';

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
