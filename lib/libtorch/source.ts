import { createHash } from 'node:crypto';
import { readdirSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { isFile, statIfThere } from '../torch/stat.js';
import { download, sha256Of, wrongHash } from './download.js';
import { LibtorchInstallError, size } from './errors.js';
import { PINS, type Pin, VARIANTS, type Variant, wheelsOf } from './pins.js';
import { type FetchOptions, pinnedWheels, short } from './wheels.js';

/** What an install unpacks or copies. */
export type Source =
  | { kind: 'wheels'; paths: string[]; pin: Pin | null; told: string; beside: string | null }
  | { kind: 'folder'; folder: string; told: string };

/** Which folder of an unpacked libtorch, a wheel or a site-packages folder holds lib/, or null. */
export function rootIn(folder: string): string | null {
  const places = [folder, join(folder, 'torch'), join(folder, 'libtorch')];
  return places.find((place) => isFile(join(place, 'lib', 'libtorch.so'))) ?? null;
}

/** The pin that an install takes whose source is not given, or is a folder of wheels. */
export type Plan =
  | { kind: 'pin'; pin: Pin; beside: string | null }
  | { kind: 'file'; path: string; pin: Pin | null }
  | { kind: 'url'; url: string; sha256: string | undefined }
  | { kind: 'folder'; folder: string };

/**
 * What `--from` names, without fetching or reading any of it.
 *
 * @throws LibtorchInstallError M3L_LIBTORCH_SOURCE, M3L_LIBTORCH_CONTENT, M3L_LIBTORCH_PLATFORM
 */
export function planOf(from: string | undefined, variant: Variant | undefined): Plan {
  if (from === undefined) {
    requirePlatform();
    return { kind: 'pin', pin: PINS[variant ?? 'cpu'], beside: null };
  }
  if (/^[a-z][a-z\d+.-]+:/i.test(from)) return planOfUrl(from);
  const path = resolve(from);
  const found = statIfThere(path);
  if (found === undefined) throw source(from, 'there is no such file or folder');
  if (found.isFile()) return { kind: 'file', path, pin: pinNamed(basename(path)) };
  if (!found.isDirectory()) throw source(from, 'it is neither a file nor a folder');
  const root = rootIn(path);
  if (root !== null) return { kind: 'folder', folder: root };
  return planOfWheels(path, from, variant);
}

function planOfUrl(from: string): Plan {
  const url = URL.canParse(from) ? new URL(from) : null;
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw source(from, 'only http:// and https:// addresses are fetched');
  }
  const sha256 = /^#sha256=([\da-f]{64})$/i.exec(url.hash)?.[1]?.toLowerCase();
  if (url.hash !== '' && sha256 === undefined) {
    throw source(from, `'${url.hash}' is not understood: #sha256= and 64 hex digits may follow`);
  }
  url.hash = '';
  return { kind: 'url', url: url.href, sha256 };
}

/** A folder that holds wheels: the pinned ones, or one of torch. */
function planOfWheels(folder: string, from: string, variant: Variant | undefined): Plan {
  const wheels = readdirSync(folder).filter((name) => /^torch-.*\.whl$/.test(name));
  const wanted = variant === undefined ? VARIANTS : [variant];
  const pinned = wanted.find((name) => wheels.includes(PINS[name].torch.file));
  if (pinned !== undefined) return { kind: 'pin', pin: PINS[pinned], beside: folder };
  if (wheels.length === 1) return { kind: 'file', path: join(folder, wheels[0]!), pin: null };
  const found =
    wheels.length === 0
      ? 'it holds neither lib/libtorch.so nor a wheel of torch (torch-….whl)'
      : `it holds ${wheels.length} wheels of torch (${wheels.join(', ')}): name one`;
  throw new LibtorchInstallError(
    'M3L_LIBTORCH_CONTENT',
    `--from ${from}: ${found}. Name a libtorch folder, a site-packages folder with torch in it, or a folder with ${PINS[variant ?? 'cpu'].torch.file}.`,
  );
}

/** Gets what a plan names; pinned wheels have their hashes checked. */
export async function fetchPlan(
  plan: Plan,
  options: FetchOptions & { libraries: boolean },
): Promise<Source> {
  if (plan.kind === 'folder') return { ...plan, told: plan.folder };
  if (plan.kind === 'pin') {
    const wheels = wheelsOf(plan.pin, options.libraries);
    const paths = await pinnedWheels(wheels, { ...options, beside: plan.beside });
    const told = plan.beside ?? plan.pin.torch.url;
    return { kind: 'wheels', paths, pin: plan.pin, told, beside: plan.beside };
  }
  if (plan.kind === 'url') {
    const path = await fetchUrl(plan, options);
    return { kind: 'wheels', paths: [path], pin: null, told: plan.url, beside: null };
  }
  const { path, pin } = plan;
  if (pin !== null) {
    const found = await sha256Of(path, { signal: options.signal });
    // Its name promises the pinned bytes.
    if (found !== pin.torch.sha256) throw wrongHash(path, found, pin.torch.sha256);
    const rest = await pinnedWheels(options.libraries ? pin.libraries : [], {
      ...options,
      beside: dirname(path),
    });
    return { kind: 'wheels', paths: [path, ...rest], pin, told: path, beside: dirname(path) };
  }
  return { kind: 'wheels', paths: [path], pin: null, told: path, beside: dirname(path) };
}

async function fetchUrl(
  { url, sha256 }: { url: string; sha256: string | undefined },
  { store, signal, reporter, patience }: FetchOptions,
): Promise<string> {
  const name = decodeURIComponent(basename(new URL(url).pathname)).replaceAll(/[^\w.+-]/g, '_');
  const key = createHash('sha256').update(url).digest('hex').slice(0, 12);
  const file = join(store, `${key}-${name || 'archive'}`);
  const wanted = sha256 ?? pinNamed(name)?.torch.sha256;
  // Whole since a run that was stopped later.
  const kept = wanted !== undefined && isFile(file) ? await sha256Of(file, { signal }) : null;
  if (kept !== null && kept === wanted) return file;
  reporter.log(wanted === undefined ? `${url} (no sha256 was given: it is not compared)` : url);
  await download({
    url,
    file,
    sha256: wanted,
    signal,
    log: (line) => reporter.log(line),
    onProgress: (done, total) => reporter.progress?.(short(name), done, total),
    ...(patience && { patience }),
  });
  reporter.log(`fetched ${size(statSync(file).size)}`);
  return file;
}

/** The pin whose torch wheel has this file name. */
function pinNamed(name: string): Pin | null {
  return VARIANTS.map((variant) => PINS[variant]).find(({ torch }) => torch.file === name) ?? null;
}

function requirePlatform(): void {
  if (process.platform === 'linux' && process.arch === 'x64') return;
  throw new LibtorchInstallError(
    'M3L_LIBTORCH_PLATFORM',
    `No libtorch is pinned for ${process.platform}-${process.arch}, only for linux-x64. Name one with --from, or set LIBTORCH to its folder.`,
  );
}

function source(from: string, why: string): LibtorchInstallError {
  return new LibtorchInstallError(
    'M3L_LIBTORCH_SOURCE',
    `--from ${from}: ${why}. Name a wheel (.whl), a zip of libtorch, a libtorch folder or an http(s) address of one.`,
  );
}
