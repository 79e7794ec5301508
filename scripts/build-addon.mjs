// Builds the addon with cmake-js, or takes it from the user's cache: the cache is keyed by the content
// of every source, the libtorch and the compiler, so an equal key is an equal build.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { home, install } from './libtorch.mjs';
import { firstLine } from './tools.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const ADDONS = ['m3l_loader.node', 'm3l_core.node', 'm3l_kernels.so'];

/** @param {string} folder @returns {string[]} */
function filesBelow(folder) {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort();
}

/** @param {string} libtorch */
function keyOf(libtorch) {
  const hash = createHash('sha256');
  for (const file of [join(root, 'CMakeLists.txt'), ...filesBelow(join(root, 'binding'))]) {
    hash.update(file.slice(root.length)).update('\0').update(readFileSync(file)).update('\0');
  }
  hash.update(readFileSync(join(libtorch, 'include/torch/headeronly/version.h')));
  hash.update(readFileSync(join(root, 'node_modules/node-api-headers/package.json')));
  hash.update(firstLine('c++') ?? '').update(`${process.platform}-${process.arch}`);
  return hash.digest('hex').slice(0, 32);
}

/** @param {string} from @param {string} to */
function copyAddons(from, to) {
  mkdirSync(to, { recursive: true });
  for (const addon of ADDONS) {
    // Renamed into place: a process that has the old file mapped must not see it change.
    copyFileSync(join(from, addon), join(to, `${addon}.${process.pid}`));
    renameSync(join(to, `${addon}.${process.pid}`), join(to, addon));
  }
}

/** @param {{ libtorch: string, log?: (line: string) => void }} options */
export function buildAddon({ libtorch, log = console.error }) {
  const release = join(root, 'build', 'Release');
  const stamp = join(release, '.m3l-key');
  const key = keyOf(libtorch);
  const complete = (/** @type {string} */ folder) =>
    ADDONS.every((addon) => existsSync(join(folder, addon)));
  if (complete(release) && existsSync(stamp) && readFileSync(stamp, 'utf8') === key) return;

  const cached = join(home(), 'addon', key);
  if (complete(cached)) {
    log(`addon from the cache (${cached})`);
    copyAddons(cached, release);
  } else {
    log('building the addon (C++, about a minute)');
    const run = spawnSync(
      process.execPath,
      [join(root, 'node_modules/cmake-js/bin/cmake-js'), 'build', `--CDLIBTORCH_DIR=${libtorch}`],
      { cwd: root, encoding: 'utf8', maxBuffer: 1 << 28 },
    );
    if (run.status !== 0) {
      const output = `${run.stdout}${run.stderr}`.trim().split('\n').slice(-60).join('\n');
      const error = new Error(
        `${output}\nThe addon did not build: the compiler's message is above`,
      );
      throw Object.assign(error, { code: 'M3L_ADDON_BUILD' });
    }
    copyAddons(release, cached);
  }
  writeFileSync(stamp, key);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  try {
    buildAddon({ libtorch: process.env.LIBTORCH || (await install({ variant: 'cpu' })) });
  } catch (error) {
    console.error(error instanceof Error && 'code' in error ? error.message : error);
    process.exit(1);
  }
}
