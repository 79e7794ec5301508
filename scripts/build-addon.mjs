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
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join, sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { findNvcc } from './compile-cuda.mjs';
import { home, install } from './libtorch.mjs';
import { firstLine } from './tools.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const ADDONS = ['m3l_loader.node', 'm3l_core.node', 'm3l_kernels.so', 'm3l_image.node'];

/** @param {string} folder @returns {string[]} */
function filesBelow(folder) {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort();
}

/**
 * The CUDA compiler, where the libtorch has CUDA; the kernels are built without it otherwise.
 * @param {string} libtorch
 */
function nvccFor(libtorch) {
  return existsSync(join(libtorch, 'lib', 'libtorch_cuda.so')) ? findNvcc() : null;
}

/** @param {string} libtorch @param {string | null} nvcc its version */
function keyOf(libtorch, nvcc) {
  const hash = createHash('sha256');
  const cuda = join(root, 'binding', 'kernels', 'cuda') + sep;
  const sources = filesBelow(join(root, 'binding')).filter(
    (file) => nvcc !== null || !file.startsWith(cuda),
  );
  for (const file of [join(root, 'CMakeLists.txt'), ...sources]) {
    hash.update(file.slice(root.length)).update('\0').update(readFileSync(file)).update('\0');
  }
  hash.update(readFileSync(join(libtorch, 'include/torch/headeronly/version.h')));
  hash.update(readFileSync(join(root, 'node_modules/node-api-headers/package.json')));
  hash
    .update(nvcc ?? '')
    .update(firstLine('c++') ?? '')
    .update(`${process.platform}-${process.arch}`);
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

/**
 * cmake-js configures a folder once, whatever it is given later.
 * @param {string[]} options
 */
function configureFor(options) {
  const stamp = join(root, 'build', '.m3l-configured');
  const wanted = options.join('\n');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  rmSync(join(root, 'build', 'CMakeCache.txt'), { force: true });
  mkdirSync(join(root, 'build'), { recursive: true });
  writeFileSync(stamp, wanted);
}

/** @param {{ libtorch: string, log?: (line: string) => void }} options */
export function buildAddon({ libtorch, log = console.error }) {
  const release = join(root, 'build', 'Release');
  const stamp = join(release, '.m3l-key');
  const cuda = nvccFor(libtorch);
  if (cuda?.nvcc === null) log(`kernels without CUDA, though libtorch has it: ${cuda.reason}`);
  const key = keyOf(libtorch, cuda?.nvcc ? cuda.version : null);
  const complete = (/** @type {string} */ folder) =>
    ADDONS.every((addon) => existsSync(join(folder, addon)));
  if (complete(release) && existsSync(stamp) && readFileSync(stamp, 'utf8') === key) return;

  const cached = join(home(), 'addon', key);
  if (complete(cached)) {
    log(`addon from the cache (${cached})`);
    copyAddons(cached, release);
  } else {
    log('building the addon (C++, about a minute)');
    const options = [
      `--CDLIBTORCH_DIR=${libtorch}`,
      `--CDM3L_CUDA=${cuda?.nvcc ? 'ON' : 'OFF'}`,
      ...(cuda?.nvcc ? [`--CDCMAKE_CUDA_COMPILER=${cuda.nvcc}`] : []),
    ];
    configureFor(options);
    const run = spawnSync(
      process.execPath,
      [join(root, 'node_modules/cmake-js/bin/cmake-js'), 'build', ...options],
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
