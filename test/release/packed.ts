import { existsSync, readdirSync, realpathSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { findLibtorch } from '../../dist/torch/libtorch.js';

/** The libtorch of these tests, or null, saying so, where it has not its wheel's licences beside it. */
export function libtorchWithLicences(): string | null {
  const folder = findLibtorch()?.folder ?? null;
  const wheel = folder === null ? null : dirname(folder);
  if (wheel !== null && readdirSync(wheel).some((name) => name.endsWith('.dist-info')))
    return folder;
  console.warn(`skipped: no wheel's libtorch is there (${folder ?? 'none at all'}): npm run setup`);
  return null;
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
