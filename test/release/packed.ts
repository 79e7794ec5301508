import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, realpathSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findLibtorch } from '../../dist/torch/libtorch.js';

const root = fileURLToPath(new URL('../../', import.meta.url));

export const NAMES = ['m3l', '@m3l/linux-x64', '@m3l/libtorch-linux-x64'] as const;

/** A tarball. */
export interface Packed {
  name: string;
  version: string;
  file: string;
  bytes: number;
}
export type Packages = Record<(typeof NAMES)[number], Packed>;

/** The torch folder that the libtorch of these tests lies in, its wheel's licences beside it; else null. */
export function libtorchWithLicences(): string | null {
  const folder = findLibtorch()?.folder ?? null;
  if (folder === null) return null;
  return readdirSync(dirname(folder)).some((name) => name.endsWith('.dist-info')) ? folder : null;
}

/** Why the packages cannot be packed here, else null. */
export function whyNoPackages(): string | null {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    return `there are none for ${process.platform}-${process.arch}`;
  }
  return libtorchWithLicences() === null ? 'no libtorch from a wheel: run npm run setup' : null;
}

/** Packs them into `out`, as they stand; libtorch's, which takes a minute, is kept in the cache. */
export function packPackages(out: string): Packages {
  const options = ['--allow-dirty', '--any-glibc', '--json', '--out', out];
  const pack = ['scripts/release/pack.mjs', ...options, '--libtorch', libtorchWithLicences()!];
  const done = spawnSync(process.execPath, pack, { cwd: root, encoding: 'utf8' });
  if (done.status !== 0) throw new Error(done.stderr);
  const { packages } = JSON.parse(done.stdout) as { packages: Packed[] };
  return Object.fromEntries(packages.map((one) => [one.name, one])) as Packages;
}

/** npm's program, to be run by Node: its own first line looks for Node on the PATH. */
export function npm(): string {
  const found = (process.env.PATH ?? '')
    .split(delimiter)
    .map((folder) => join(folder, 'npm'))
    .find((file) => existsSync(file));
  if (found === undefined) throw new Error('npm is not on the PATH');
  return realpathSync(found);
}
