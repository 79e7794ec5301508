/** Where the native addons lie, and how one is opened. Nothing here needs libtorch. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AddonNotFoundError } from './errors.js';

const packageFolder = fileURLToPath(new URL('../../', import.meta.url));
const require = createRequire(import.meta.url);

/**
 * Opens `name`.node from the first folder that has one that loads: M3L_ADDON_DIR, then where it is
 * built, then the prebuilt ones.
 * @throws AddonNotFoundError
 */
export function openAddon<Addon>(name: string): { addon: Addon; folder: string } {
  const refusals: string[] = [];
  for (const folder of addonFolders()) {
    const file = join(folder, `${name}.node`);
    if (!existsSync(file)) {
      refusals.push(`${file} does not exist`);
      continue;
    }
    try {
      return { addon: require(file) as Addon, folder };
    } catch (error) {
      refusals.push(`${file}: ${messageOf(error)}`);
    }
  }
  throw new AddonNotFoundError(refusals);
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function addonFolders(): string[] {
  const named = process.env.M3L_ADDON_DIR;
  return [
    ...(named ? [named] : []),
    join(packageFolder, 'build', 'Release'),
    join(packageFolder, 'prebuilds', `${process.platform}-${process.arch}`),
  ];
}
