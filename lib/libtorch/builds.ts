import { builtMinors, torchBuild } from '../torch/addon.js';
import { isClone } from '../torch/installation.js';
import { LibtorchInstallError } from './errors.js';

/**
 * Why m3l would pass over a libtorch of that version, or null. Null too where there is no build at all:
 * then the addon is missing, and not the right libtorch.
 */
export function lackOfBuild(version: string | null): string | null {
  const build = torchBuild(version);
  return typeof build === 'string' && builtMinors().length > 0 ? build : null;
}

/** @throws LibtorchInstallError M3L_LIBTORCH_VERSION, unless `lack` is null */
export function refuseLack(told: string, version: string | null, lack: string | null): void {
  if (lack === null) return;
  const build = isClone()
    ? ', or install it with --with-headers and make a build: LIBTORCH=its folder npm run build:addon'
    : '';
  throw new LibtorchInstallError(
    'M3L_LIBTORCH_VERSION',
    `${told} is libtorch ${version ?? 'of no version'}, and ${lack}. Take one of these${build}.`,
  );
}
