import { createHash } from 'node:crypto';
import { createReadStream, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { type FileHandle, open, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { statIfThere } from '../torch/stat.js';
import { cacheProblem, LibtorchInstallError, size } from './errors.js';

export interface DownloadOptions {
  url: string;
  /** Where the whole file goes; `FILE.partial` beside it holds it until then. */
  file: string;
  /** In bytes, where known beforehand. */
  size?: number | undefined;
  /** In hex, where known beforehand. */
  sha256?: string | undefined;
  signal?: AbortSignal | undefined;
  log(line: string): void;
  onProgress?: ((done: number, total: number | null) => void) | undefined;
  patience?: Patience;
}

/** How long a server is waited for. */
export interface Patience {
  /** Milliseconds without a byte after which a connection is given up. */
  stall: number;
  /** How often a broken transfer is taken up again. */
  attempts: number;
  /** Milliseconds before the second attempt; it doubles. */
  pause: number;
}

const PATIENCE: Patience = { stall: 30_000, attempts: 5, pause: 1000 };

/** Another attempt may mend it. */
class Broken extends Error {}

/** What is remembered of the server's file, so that a partial one goes on only with the same. */
interface Memory {
  url: string;
  validator: string | null;
}

/**
 * Fetches a file over HTTP. What was fetched stays in `FILE.partial`, through a kill too, and the next
 * call goes on from there; the file has its name only once it is whole and its hash is right.
 *
 * @throws LibtorchInstallError M3L_LIBTORCH_NETWORK, M3L_LIBTORCH_HASH, M3L_LIBTORCH_DISK,
 *   M3L_LIBTORCH_CACHE; the signal's reason
 */
export async function download(options: DownloadOptions): Promise<void> {
  const { file, sha256, signal } = options;
  const partial = `${file}.partial`;
  try {
    mkdirSync(dirname(file), { recursive: true });
    const resumed = bytesOf(partial) > 0;
    await transfer(options, partial);
    try {
      await checkHash(partial, sha256, options);
    } catch (error) {
      // A part of another file may have been gone on from; from the start it is the server's fault.
      forget(partial);
      if (!resumed) throw error;
      options.log('what an earlier download left does not fit: from the start');
      await transfer(options, partial);
      await checkHash(partial, sha256, options).catch((again) => {
        forget(partial);
        throw again;
      });
    }
    renameSync(partial, file);
    forget(partial);
  } catch (error) {
    signal?.throwIfAborted();
    throw cacheProblem(error, dirname(file));
  }
}

async function transfer(options: DownloadOptions, partial: string): Promise<void> {
  const { url, signal, log, patience = PATIENCE } = options;
  let pause = patience.pause;
  for (let attempt = 1; ; attempt++) {
    const before = bytesOf(partial);
    try {
      await once(options, partial, patience.stall);
      return;
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof Broken)) throw error;
      // A line that moves is waited for as long as it takes.
      if (bytesOf(partial) > before) attempt = 1;
      if (attempt >= patience.attempts) throw network(url, error.message, bytesOf(partial));
      log(`${error.message}; again in ${pause / 1000} s, from ${size(bytesOf(partial))}`);
      await wait(pause, undefined, signal === undefined ? {} : { signal });
      pause = Math.min(2 * pause, 30_000);
    }
  }
}

/** One request: all that is missing, or `Broken`. */
async function once(options: DownloadOptions, partial: string, stall: number): Promise<void> {
  const { url, signal, onProgress } = options;
  const remembered = remembers(partial, options);
  const most = options.size ?? Number.POSITIVE_INFINITY;
  const kept = remembered === null ? 0 : bytesOf(partial);
  const have = kept > most ? 0 : kept;
  if (options.size !== undefined && have === options.size) return;

  const idle = new AbortController();
  let timer = setTimeout(() => idle.abort(), stall);
  const stop = AbortSignal.any(signal === undefined ? [idle.signal] : [idle.signal, signal]);
  const broken = (error: unknown) => {
    if (idle.signal.aborted) return new Broken(`the server sent nothing for ${stall / 1000} s`);
    return new Broken(`the connection broke (${reasonOf(error)})`);
  };
  try {
    const headers: Record<string, string> = { 'accept-encoding': 'identity' };
    if (have > 0) headers.range = `bytes=${have}-`;
    if (have > 0 && remembered?.validator) headers['if-range'] = remembered.validator;
    const response = await fetch(url, { headers, signal: stop }).catch((error) => {
      signal?.throwIfAborted();
      if (idle.signal.aborted) throw broken(error);
      throw unreachable(url, error);
    });
    if (response.status === 416) {
      await response.body?.cancel();
      if (/\/(\d+)$/.exec(response.headers.get('content-range') ?? '')?.[1] === String(have))
        return;
      forget(partial);
      throw new Broken('what an earlier download left does not fit');
    }
    const from = startOf(response, have, url);
    const length = Number(response.headers.get('content-length') ?? Number.NaN);
    const total = Number.isFinite(length) ? from + length : (options.size ?? null);
    if (options.size !== undefined && total !== null && total !== options.size) {
      await response.body?.cancel();
      throw otherSize(url, total, options.size);
    }
    const target = await open(partial, from === 0 ? 'w' : 'r+');
    try {
      if (from === 0) await remember(partial, url, response);
      onProgress?.(from, total);
      await append(target, from, response, {
        most,
        broken,
        moved(done) {
          clearTimeout(timer);
          timer = setTimeout(() => idle.abort(), stall);
          onProgress?.(done, total);
        },
      });
      await target.sync();
    } finally {
      await target.close();
    }
    const got = bytesOf(partial);
    if (total !== null && got < total) {
      throw new Broken(`the transfer ended at ${size(got)} of ${size(total)}`);
    }
  } finally {
    clearTimeout(timer);
  }
}

/** Where the response's bytes belong: at the end of what is there, or at the start. */
function startOf(response: Response, have: number, url: string): number {
  if (response.status === 200) return 0;
  if (response.status === 206) {
    const start = /^bytes (\d+)-/.exec(response.headers.get('content-range') ?? '')?.[1];
    if (start !== undefined && Number(start) === have) return have;
    throw network(url, `it answered with other bytes than were asked for (${start ?? 'none'})`, 0);
  }
  void response.body?.cancel();
  if (response.status >= 500 || response.status === 429 || response.status === 408) {
    throw new Broken(`the server answered ${response.status} ${response.statusText}`.trim());
  }
  throw network(url, `the server answered ${response.status} ${response.statusText}`.trim(), 0);
}

async function append(
  target: FileHandle,
  from: number,
  response: Response,
  steps: { most: number; broken(error: unknown): Error; moved(done: number): void },
): Promise<void> {
  if (response.body === null) return;
  let at = from;
  const chunks = response.body[Symbol.asyncIterator]();
  for (;;) {
    const next = await chunks.next().catch((error: unknown) => {
      throw steps.broken(error);
    });
    if (next.done) return;
    const chunk = next.value as Uint8Array;
    if (at + chunk.length > steps.most) {
      await chunks.return?.();
      throw otherSize(response.url, at + chunk.length, steps.most);
    }
    for (let done = 0; done < chunk.length; ) {
      const { bytesWritten } = await target.write(chunk, done, chunk.length - done, at + done);
      done += bytesWritten;
    }
    at += chunk.length;
    steps.moved(at);
  }
}

/** Whether what lies there may be gone on from: of the same address, and told apart by hash or tag. */
function remembers(partial: string, { url, sha256 }: DownloadOptions): Memory | null {
  try {
    const memory = JSON.parse(readFileSync(`${partial}.json`, 'utf8')) as Memory;
    const usable = memory.url === url && (sha256 !== undefined || memory.validator !== null);
    return usable && existsSync(partial) ? memory : null;
  } catch {
    return null;
  }
}

async function remember(partial: string, url: string, { headers }: Response): Promise<void> {
  const tag = headers.get('etag');
  // A weak tag says that files mean the same, not that their bytes are.
  const strong = tag?.startsWith('W/') ? null : tag;
  const memory: Memory = { url, validator: strong ?? headers.get('last-modified') };
  await writeFile(`${partial}.json`, JSON.stringify(memory));
}

function forget(partial: string): void {
  rmSync(partial, { force: true });
  rmSync(`${partial}.json`, { force: true });
}

/** SHA-256 of a file, in hex. */
export async function sha256Of(
  file: string,
  { signal, onBytes }: { signal?: AbortSignal | undefined; onBytes?: (bytes: number) => void } = {},
): Promise<string> {
  const hash = createHash('sha256');
  const stream = createReadStream(file, { highWaterMark: 1 << 20, ...(signal && { signal }) });
  for await (const chunk of stream) {
    hash.update(chunk as Buffer);
    onBytes?.((chunk as Buffer).length);
  }
  return hash.digest('hex');
}

async function checkHash(partial: string, wanted: string | undefined, options: DownloadOptions) {
  if (wanted === undefined) return;
  const found = await sha256Of(partial, { signal: options.signal });
  if (found !== wanted) throw wrongHash(options.url, found, wanted);
}

export function wrongHash(place: string, found: string, wanted: string): LibtorchInstallError {
  return new LibtorchInstallError(
    'M3L_LIBTORCH_HASH',
    `${place} is truncated, altered or another build: its sha256 is ${found}, expected ${wanted}. It was not used. Fetch it again; behind a proxy or mirror, ask what it delivers.`,
  );
}

function otherSize(url: string, found: number, wanted: number): LibtorchInstallError {
  return new LibtorchInstallError(
    'M3L_LIBTORCH_HASH',
    `${url} has another size than the pinned file: ${found} bytes, expected ${wanted}. It was not used. Behind a proxy or mirror, ask what it delivers.`,
  );
}

function network(url: string, why: string, kept: number): LibtorchInstallError {
  const rest = kept > 0 ? ` ${size(kept)} are kept: the same command goes on from there.` : '';
  return new LibtorchInstallError(
    'M3L_LIBTORCH_NETWORK',
    `${url} could not be fetched: ${why}. Check the address and the network, or name a file with --from.${rest}`,
  );
}

/** A name that is not known or a refused connection is final; all else may pass. */
function unreachable(url: string, error: unknown): Error {
  const why = reasonOf(error);
  const passing = /ECONNRESET|EPIPE|EAI_AGAIN|UND_ERR_SOCKET|TIMEOUT/.test(why);
  return passing && !/EAI_AGAIN/.test(why)
    ? new Broken(`no connection (${why})`)
    : network(url, why, 0);
}

function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (!(cause instanceof Error)) return String(cause);
  const code = 'code' in cause ? String(cause.code) : null;
  return cause.message || code || cause.name;
}

function bytesOf(path: string): number {
  return statIfThere(path)?.size ?? 0;
}
