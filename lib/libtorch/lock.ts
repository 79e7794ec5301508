import { createHash } from 'node:crypto';
import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';

/**
 * Runs `work` while no other process of this machine does so for the same folder; one that comes later
 * waits. The lock is a socket's name that the kernel frees when its process ends, however it ends, so
 * that none is ever left behind. Processes that do not see each other (two containers on one volume) do
 * work at the same time, each in a folder of its own.
 *
 * @param waiting is called once, if there is someone to wait for
 * @throws the signal's reason; what `work` throws
 */
export async function withLock<T>(
  folder: string,
  work: () => Promise<T>,
  { signal, waiting }: { signal?: AbortSignal | undefined; waiting(): void },
): Promise<T> {
  const name = `\0m3l-${createHash('sha256').update(folder).digest('hex').slice(0, 32)}`;
  let told = false;
  for (;;) {
    signal?.throwIfAborted();
    const release = await acquire(name);
    if (release !== null) {
      try {
        return await work();
      } finally {
        release();
      }
    }
    if (!told) waiting();
    told = true;
    await untilFree(name, signal);
  }
}

/** Null where another process holds the name. */
function acquire(name: string): Promise<(() => void) | null> {
  return new Promise((resolve) => {
    const waiters = new Set<Socket>();
    const server = createServer((socket) => {
      waiters.add(socket.unref().on('error', () => {}));
      socket.on('close', () => waiters.delete(socket));
    });
    server.once('error', (error: NodeJS.ErrnoException) => {
      // Where sockets have no such names, installs are safe all the same, and only not in turns.
      resolve(error.code === 'EADDRINUSE' ? null : () => {});
    });
    server.listen(name, () => {
      server.unref();
      resolve(() => {
        server.close();
        for (const socket of waiters) socket.destroy();
      });
    });
  });
}

/** Until the holder's end closes the connection to it. */
async function untilFree(name: string, signal?: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const socket = connect(name);
    const done = () => {
      signal?.removeEventListener('abort', done);
      socket.destroy();
      resolve();
    };
    socket.on('close', done).on('error', done);
    signal?.addEventListener('abort', done);
  });
  // A name that is taken but not answered yet must not be asked for in a busy loop.
  await wait(50);
}
