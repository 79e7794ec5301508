import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { availableParallelism } from 'node:os';
import { EXIT, printNote } from './output.js';

/** How long the other processes have after one has failed: they notice by themselves, and save. */
const GRACE_SECONDS = 30;

/** How a process ended. */
interface Ended {
  rank: number;
  code: number | null;
  killed: NodeJS.Signals | null;
}

/**
 * Runs this command line, without `--nproc`, in so many processes of this machine that train together, and
 * returns the exit code of all: that of the first that failed. Ctrl-C is passed on, once to save and once
 * more to stop.
 */
export async function launchProcesses(nproc: number): Promise<number> {
  const port = await freePort();
  const [, script, ...args] = process.argv;
  const children = Array.from({ length: nproc }, (_, rank) =>
    fork(script!, withoutNproc(args), {
      // A terminal's Ctrl-C is for the launcher, which passes it on.
      detached: true,
      stdio: ['ignore', rank === 0 ? 'inherit' : 'ignore', 'inherit', 'ipc'],
      env: {
        ...process.env,
        RANK: String(rank),
        WORLD_SIZE: String(nproc),
        LOCAL_RANK: String(rank),
        LOCAL_WORLD_SIZE: String(nproc),
        MASTER_ADDR: '127.0.0.1',
        MASTER_PORT: String(port),
      },
    }),
  );
  const threads = Math.max(1, Math.floor(availableParallelism() / nproc));
  if (process.env.OMP_NUM_THREADS === undefined) {
    printNote(`${nproc} processes, ${threads} ${threads === 1 ? 'thread' : 'threads'} each.`);
  }
  const pass = (signal: NodeJS.Signals) => {
    for (const child of children) child.kill(signal);
  };
  process.on('SIGINT', pass);
  process.on('SIGTERM', pass);
  let grace: NodeJS.Timeout | undefined;
  const failures: Ended[] = [];
  await Promise.all(
    children.map(async (child, rank) => {
      const ended = await endOf(child, rank);
      if (ended.code === EXIT.ok) return;
      failures.push(ended);
      if (ended.killed !== null) {
        printNote(`m3l: the process of rank ${rank} was ended by ${ended.killed}.`);
      }
      // One that was told to stop has saved, and so may the first still do.
      if (ended.code === EXIT.interrupted) return;
      grace ??= setTimeout(() => {
        const left = children.flatMap((each, i) => (isRunning(each) ? [i] : []));
        printNote(`m3l: ending the processes of rank ${left.join(', ')}, which did not end.`);
        for (const i of left) children[i]!.kill('SIGKILL');
      }, GRACE_SECONDS * 1000);
    }),
  );
  clearTimeout(grace);
  process.off('SIGINT', pass);
  process.off('SIGTERM', pass);
  const interrupted = failures.some(({ code }) => code === EXIT.interrupted);
  if (failures.length === 0) return EXIT.ok;
  return interrupted ? EXIT.interrupted : (failures[0]!.code ?? EXIT.failure);
}

/** In a process that was launched: where the launcher is gone, it is as if it had been interrupted. */
export function heedLauncher(): void {
  if (!process.connected) return;
  process.on('disconnect', () => process.kill(process.pid, 'SIGTERM'));
  process.channel?.unref();
}

function isRunning({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode === null && signalCode === null;
}

async function endOf(child: ChildProcess, rank: number): Promise<Ended> {
  const [code, killed] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
  return { rank, code, killed };
}

function withoutNproc(args: readonly string[]): string[] {
  const at = args.indexOf('--nproc');
  const kept = at < 0 ? args : [...args.slice(0, at), ...args.slice(at + 2)];
  return kept.filter((arg) => !arg.startsWith('--nproc='));
}

/** A port of this machine that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}
