import {
  closeSync,
  linkSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { isRunning } from '../torch/running.js';
import { RunError, reasonOf, systemCode } from './errors.js';

const ownerSchema = z.object({
  pid: z.int().positive(),
  host: z.string(),
  /** Tells a process from a later one that was given the same pid. */
  process: z.string().nullable(),
  since: z.string(),
});
type Owner = z.infer<typeof ownerSchema>;

/** How often a lock that is held is written anew, which shows other hosts that its process lives. */
const TOUCH_SECONDS = 15;

/**
 * Keeps other processes from writing to a folder until the function that comes back is called, or
 * this process ends in whatever way: the lock of a process that is gone is taken over.
 *
 * @param silentSeconds after how long a process of another host that has not touched its lock counts as gone:
 *   never by default
 * @throws RunError M3L_RUN_LOCKED naming the process that has it; M3L_RUN_WRITE
 */
export function lockFolder(folder: string, silentSeconds = Infinity): () => void {
  const file = join(folder, 'run.lock');
  const owner: Owner = {
    pid: process.pid,
    host: hostname(),
    process: identityOf(process.pid),
    since: new Date().toISOString(),
  };
  const text = `${JSON.stringify(owner)}\n`;
  const mine = join(folder, `.run.lock.${process.pid}-${Date.now()}.tmp`);
  try {
    writeFileSync(mine, text);
    try {
      acquire(file, mine, silentSeconds);
    } finally {
      rmSync(mine, { force: true });
    }
  } catch (error) {
    if (error instanceof RunError) throw error;
    throw new RunError(
      'M3L_RUN_WRITE',
      `${folder} cannot be written to: ${reasonOf(error)}. Give an --out that can.`,
      { cause: error },
    );
  }
  const touching = setInterval(() => touch(file, text), TOUCH_SECONDS * 1000).unref();
  const release = () => {
    clearInterval(touching);
    process.off('exit', release);
    if (read(file) === text) rmSync(file, { force: true });
  };
  process.on('exit', release);
  return release;
}

/**
 * Whether a process that lives, or that of another host, has the lock of a folder.
 * @param silentSeconds as `lockFolder` has it
 */
export function isLocked(folder: string, silentSeconds = Infinity): boolean {
  const file = join(folder, 'run.lock');
  const found = read(file);
  const owner = found === null ? null : parse(found);
  if (owner === null) return false;
  if (silentSeconds === Infinity || owner.host === hostname()) return isAlive(owner);
  const probe = join(folder, `.run.lock.${process.pid}-${Date.now()}.tmp`);
  writeFileSync(probe, '');
  try {
    return !isSilent(file, probe, silentSeconds);
  } finally {
    rmSync(probe, { force: true });
  }
}

/** Writes what is there already: the time of it is that of the file system, which all hosts share. */
function touch(file: string, text: string): void {
  try {
    if (read(file) !== text) return;
    const handle = openSync(file, 'r+');
    try {
      writeSync(handle, text, 0);
    } finally {
      closeSync(handle);
    }
  } catch {
    // It counts as silent where this goes on.
  }
}

/** @param probe a file beside it, just written */
function isSilent(file: string, probe: string, seconds: number): boolean {
  const [locked, now] = [file, probe].map((each) => statSync(each, { throwIfNoEntry: false }));
  return locked === undefined || now!.mtimeMs - locked.mtimeMs > seconds * 1000;
}

/** A link appears with its content, and only where nothing is. */
function acquire(file: string, mine: string, silentSeconds: number): void {
  for (;;) {
    try {
      linkSync(mine, file);
      return;
    } catch (error) {
      if (systemCode(error) !== 'EEXIST') throw error;
    }
    const found = read(file);
    if (found === null) continue;
    const owner = parse(found);
    const silent = owner?.host !== hostname() && isSilent(file, mine, silentSeconds);
    if (owner !== null && isAlive(owner) && !silent) throw locked(file, owner);
    removeStale(file, found, `${mine}.stale.tmp`);
  }
}

/** Another process may have taken the lock over meanwhile: then it gets it back. */
function removeStale(file: string, stale: string, aside: string): void {
  try {
    renameSync(file, aside);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return;
    throw error;
  }
  try {
    if (read(aside) !== stale) linkSync(aside, file);
  } finally {
    unlinkSync(aside);
  }
}

function locked(file: string, { pid, host, since }: Owner): RunError {
  const here = host === hostname();
  return new RunError(
    'M3L_RUN_LOCKED',
    `${file}: process ${pid}${here ? '' : ` on ${host}`} has been training into this folder since ${since}. ` +
      (here
        ? 'Wait for it or stop it, or give another --out.'
        : 'Wait for it; if it is gone, remove that file.'),
  );
}

/** Of another host's process nothing can be known. */
function isAlive({ pid, host, process: identity }: Owner): boolean {
  if (host !== hostname()) return true;
  if (!isRunning(pid)) return false;
  const now = identityOf(pid);
  return identity === null || now === null || identity === now;
}

/** When a process started, counted from which boot; null where the system does not tell. */
function identityOf(pid: number): string | null {
  const status = read(`/proc/${pid}/stat`);
  const boot = read('/proc/sys/kernel/random/boot_id');
  if (status === null || boot === null) return null;
  // The name of the program, in parentheses, may hold spaces.
  const fields = status.slice(status.lastIndexOf(')') + 2).split(' ');
  return `${boot.trim()} ${fields[19]}`;
}

function parse(text: string): Owner | null {
  try {
    return ownerSchema.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

function read(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}
