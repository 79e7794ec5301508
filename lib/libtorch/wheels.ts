import { existsSync, mkdirSync, renameSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { statIfThere } from '../torch/stat.js';
import { download, type Patience, sha256Of, wrongHash } from './download.js';
import { LibtorchInstallError, size } from './errors.js';
import type { Wheel } from './pins.js';
import { pipWheels } from './pip.js';

/** What an installation tells while it works. */
export interface Reporter {
  /** A line that stays. */
  log(line: string): void;
  /** Bytes done of a step; null where the total is not known. */
  progress?(step: string, done: number, total: number | null): void;
}

export interface FetchOptions {
  /** The cache's folder for what is under way; whole wheels stay in it until the install is done. */
  store: string;
  /** A folder of the user's that may hold the wheels, looked into first. */
  beside: string | null;
  signal?: AbortSignal | undefined;
  reporter: Reporter;
  patience?: Patience | undefined;
}

/**
 * The pinned wheels as files with their hashes checked, in the order asked for: from the folder given,
 * from what an earlier run fetched, from where PyTorch and PyPI have them, or through pip.
 *
 * @throws LibtorchInstallError M3L_LIBTORCH_NETWORK with each way that was tried, M3L_LIBTORCH_HASH, …
 */
export async function pinnedWheels(
  wheels: readonly Wheel[],
  options: FetchOptions,
): Promise<string[]> {
  const { store, reporter } = options;
  const found = new Map<Wheel, string>();
  for (const wheel of wheels) {
    const path = await local(wheel, options);
    if (path !== null) found.set(wheel, path);
  }
  const missing = () => wheels.filter((wheel) => !found.has(wheel));
  const reasons: string[] = [];
  const dead = new Set<string>();
  for (const wheel of missing()) {
    const { host } = new URL(wheel.url);
    if (dead.has(host)) continue;
    try {
      await direct(wheel, options);
      found.set(wheel, join(store, wheel.file));
    } catch (error) {
      options.signal?.throwIfAborted();
      if (!isNetwork(error)) throw error;
      dead.add(host);
      reporter.log(
        `not from ${host}: ${error.message.split(': ').slice(1).join(': ').split('. ')[0]}`,
      );
      reasons.push(error.message.split('. Check ')[0]!);
    }
  }
  if (missing().length > 0) {
    const failure = await throughPip(missing(), options);
    if (failure !== null) throw nowhere(missing(), [...reasons, failure]);
    for (const wheel of missing()) found.set(wheel, join(store, wheel.file));
  }
  return wheels.map((wheel) => found.get(wheel)!);
}

/** Bytes of the pinned wheels that are not there yet. */
export function bytesToFetch(
  wheels: readonly Wheel[],
  store: string,
  beside: string | null,
): number {
  const sizeOf = (path: string) => statIfThere(path)?.size ?? 0;
  return wheels.reduce((sum, { file, size: whole }) => {
    if (beside !== null && existsSync(join(beside, file))) return sum;
    const have = Math.max(sizeOf(join(store, file)), sizeOf(join(store, `${file}.partial`)));
    return sum + Math.max(0, whole - have);
  }, 0);
}

async function local(wheel: Wheel, { store, beside, signal, reporter }: FetchOptions) {
  const folders = [...(beside === null ? [] : [beside]), store];
  for (const folder of folders) {
    const path = join(folder, wheel.file);
    if (!existsSync(path)) continue;
    const found = await sha256OfWheel(path, wheel.size, { signal, reporter });
    if (found === wheel.sha256) return path;
    // What the user names is not passed over in silence; what we fetched is fetched again.
    if (folder !== store) throw wrongHash(path, found, wheel.sha256);
  }
  return null;
}

export async function sha256OfWheel(
  path: string,
  total: number,
  { signal, reporter }: Pick<FetchOptions, 'signal' | 'reporter'>,
): Promise<string> {
  let done = 0;
  return sha256Of(path, {
    signal,
    onBytes(bytes) {
      done += bytes;
      reporter.progress?.(`checking ${short(basename(path))}`, done, total);
    },
  });
}

async function direct(wheel: Wheel, { store, signal, reporter, patience }: FetchOptions) {
  reporter.log(`${wheel.url}, ${size(wheel.size)}`);
  await download({
    url: wheel.url,
    file: join(store, wheel.file),
    size: wheel.size,
    sha256: wheel.sha256,
    signal,
    log: (line) => reporter.log(line),
    onProgress: (done, total) => reporter.progress?.(short(wheel.file), done, total),
    ...(patience && { patience }),
  });
}

async function throughPip(wheels: readonly Wheel[], options: FetchOptions): Promise<string | null> {
  const { store, signal, reporter } = options;
  const folder = join(store, 'pip');
  const failure = await pipWheels(wheels, { folder, signal, log: (line) => reporter.log(line) });
  signal?.throwIfAborted();
  for (const wheel of wheels) {
    const path = join(folder, wheel.file);
    if (!existsSync(path)) return `pip: ${failure ?? `it fetched no ${wheel.file}`}`;
    // pip compares the hash too, of what it finds on an index; not of what lay in its folder.
    const found = await sha256OfWheel(path, wheel.size, { signal, reporter });
    if (found !== wheel.sha256) throw wrongHash(path, found, wheel.sha256);
    mkdirSync(dirname(join(store, wheel.file)), { recursive: true });
    renameSync(path, join(store, wheel.file));
  }
  return null;
}

function nowhere(wheels: readonly Wheel[], reasons: readonly string[]): LibtorchInstallError {
  return new LibtorchInstallError(
    'M3L_LIBTORCH_NETWORK',
    [
      `${wheels.map(({ file }) => file).join(', ')} could not be fetched. Tried:`,
      ...reasons.map((line) => `  - ${line}`),
      'Mend the network and run it again (what was fetched is kept), configure an index for pip, or fetch the files on another machine and name them: --from FILE or --from FOLDER.',
    ].join('\n'),
  );
}

function isNetwork(error: unknown): error is LibtorchInstallError {
  return error instanceof LibtorchInstallError && error.code === 'M3L_LIBTORCH_NETWORK';
}

/** `nvidia_cudnn_cu13-9.24.0.43-py3-…` as `nvidia_cudnn_cu13`. */
export function short(file: string): string {
  return file.split('-')[0]!;
}
