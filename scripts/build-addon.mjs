// Fills build/native with what is compiled: the loader and the image addon once, core and kernels for
// each libtorch that is given. prebuildify builds each by cmake-js, or it comes from the user's cache,
// keyed by the content of its sources, the libtorch and the compiler: an equal key is an equal build.
//
//     npm run build:addon [-- [--sysroot FOLDER] LIBTORCH …]
//
// Default: $LIBTORCH, else the pinned one in the cache. --sysroot: scripts/release/sysroot.mjs.
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
import { basename, join, relative, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { findNvcc } from './compile-cuda.mjs';
import { home, install } from './libtorch.mjs';
import { firstLine, which } from './tools.mjs';

/**
 * A root of the native folder (lib/torch/addon.ts).
 * @typedef {{ root: string, part: 'loader' | 'image' | 'torch', addon: string, files: string[],
 *   libtorch: string | null, nvcc: { nvcc: string, version: string } | null,
 *   nccl: string | null }} Build
 */

const root = fileURLToPath(new URL('..', import.meta.url));
const native = join(root, 'build', 'native');
const platform = `${process.platform}-${process.arch}`;
/** Asked for by the project's own checks: what a newer compiler than theirs warns of ends no user's build. */
export const warningsAreErrors = process.env.M3L_WARNINGS_ARE_ERRORS === '1';
/** What a build for a libtorch with CUDA has more: kernels, and process groups where there is NCCL's header. */
export const CUDA_FILES = ['m3l_kernels_cuda.so', 'm3l_distributed_nccl.so'];
/** The folders of binding/ that only one part is made of. */
const OWN = { loader: ['loader'], image: ['image'], torch: ['core', 'distributed', 'kernels'] };

/** @param {string} folder @returns {string[]} */
function filesBelow(folder) {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort();
}

/**
 * The minor of a libtorch by its headers, as '2.13'.
 * @param {string} libtorch
 */
export function minorOf(libtorch) {
  const header = readFileSync(join(libtorch, 'include/torch/headeronly/version.h'), 'utf8');
  const part = (/** @type {string} */ name) =>
    new RegExp(`#define TORCH_VERSION_${name} (\\d+)`).exec(header)?.[1];
  return `${part('MAJOR')}.${part('MINOR')}`;
}

/** The folder of NCCL's header, where the wheel that libtorch needs it of is unpacked beside it. @param {string} libtorch */
function ncclInclude(libtorch) {
  const folder = join(libtorch, '..', 'nvidia', 'nccl', 'include');
  return existsSync(join(folder, 'nccl.h')) ? folder : null;
}

/** @param {string[]} libtorchs @param {(line: string) => void} log @returns {Build[]} */
function buildsFor(libtorchs, log) {
  const simple = (/** @type {'loader' | 'image'} */ part) => {
    const addon = `m3l_${part}`;
    return {
      root: part,
      part,
      addon,
      files: [`${addon}.node`],
      libtorch: null,
      nvcc: null,
      nccl: null,
    };
  };
  const torch = libtorchs.map((libtorch) => {
    const hasCuda = existsSync(join(libtorch, 'lib', 'libtorch_cuda.so'));
    const found = hasCuda ? findNvcc() : null;
    if (found?.nvcc === null) log(`kernels without CUDA, though libtorch has it: ${found.reason}`);
    const nvcc = found?.nvcc ? found : null;
    const nccl = nvcc ? ncclInclude(libtorch) : null;
    if (nvcc && nccl === null)
      log('process groups without NCCL: nccl.h does not lie beside libtorch');
    const own = ['m3l_core.node', 'm3l_distributed.so', 'm3l_kernels.so'];
    const files = [...own, ...(nvcc ? CUDA_FILES.slice(0, nccl ? 2 : 1) : [])];
    const name = `torch-${minorOf(libtorch)}`;
    return {
      root: name,
      part: /** @type {const} */ ('torch'),
      addon: 'm3l_core',
      files,
      libtorch,
      nvcc,
      nccl,
    };
  });
  return [simple('loader'), simple('image'), ...torch];
}

/**
 * What of the repository goes into a part.
 * @param {Build['part']} part @param {boolean} cuda @param {boolean} [emulated]
 */
export function sourcesHash(part, cuda, emulated = false) {
  const others = Object.entries(OWN).flatMap(([name, folders]) => (name === part ? [] : folders));
  const unused = [
    ...(cuda ? [] : ['distributed/nccl', 'kernels/cuda']),
    ...(emulated ? [] : ['kernels/emulation']),
  ];
  const left = [...others, ...unused].map((name) => `binding/${name}/`);
  const hash = createHash('sha256');
  for (const file of [join(root, 'CMakeLists.txt'), ...filesBelow(join(root, 'binding'))]) {
    const name = relative(root, file);
    if (left.some((folder) => name.startsWith(folder))) continue;
    hash.update(name).update('\0').update(readFileSync(file)).update('\0');
  }
  for (const name of ['node-api-headers', 'node-addon-api']) {
    hash.update(readFileSync(join(root, 'node_modules', name, 'package.json')));
  }
  return hash.digest('hex').slice(0, 16);
}

/** @param {Build} build @param {string} sysroot */
function keyOf({ part, libtorch, nvcc, nccl }, sysroot) {
  const system = `${firstLine('c++') ?? ''}\0${platform}\0${basename(sysroot)}\0`;
  const hash = createHash('sha256').update(system);
  if (libtorch !== null) {
    hash.update(readFileSync(join(libtorch, 'include/torch/headeronly/version.h')));
  }
  hash.update(nvcc?.version ?? '').update(nccl === null ? '' : 'nccl');
  hash.update(String(warningsAreErrors));
  return `${sourcesHash(part, nvcc !== null)}-${hash.digest('hex').slice(0, 16)}`;
}

/** @param {string} from @param {string} to @param {string[]} files */
function copyFiles(from, to, files) {
  mkdirSync(to, { recursive: true });
  for (const file of files) {
    // Renamed into place: a process that has the old file mapped must not see it change.
    copyFileSync(join(from, file), join(to, `${file}.${process.pid}`));
    renameSync(join(to, `${file}.${process.pid}`), join(to, file));
  }
  for (const file of readdirSync(to)) if (!files.includes(file)) rmSync(join(to, file));
}

/**
 * Builds in build/stage, and returns the folder that then holds the files.
 * @param {Build} build @param {string} sysroot
 */
async function prebuild({ root: name, part, addon, libtorch, nvcc, nccl }, sysroot) {
  const stage = join(root, 'build', 'stage', name);
  const options = [
    `--CDM3L_PARTS=${part}`,
    `--CDM3L_SYSROOT=${sysroot}`,
    ...(libtorch === null ? [] : [`--CDLIBTORCH_DIR=${libtorch}`]),
    `--CDM3L_CUDA=${nvcc === null ? 'OFF' : 'ON'}`,
    `--CDM3L_WARNINGS_ARE_ERRORS=${warningsAreErrors ? 'ON' : 'OFF'}`,
    ...(nccl === null ? [] : [`--CDM3L_NCCL_INCLUDE=${nccl}`]),
    ...(nvcc === null ? [] : [`--CDCMAKE_CUDA_COMPILER=${nvcc.nvcc}`]),
  ];
  configureFor(join(stage, 'build'), [firstLine('c++') ?? '', ...options]);
  const { default: prebuildify } = await import('prebuildify');
  process.env.M3L_CMAKE_JS = JSON.stringify(['-d', root, '-O', join(stage, 'build'), ...options]);
  try {
    await promisify(prebuildify)({
      ...{ cwd: stage, out: stage, name: addon, napi: true, strip: which('strip') !== null },
      nodeGyp: join(root, 'scripts', 'release', 'node-gyp.mjs'),
    });
  } catch {
    const error = new Error(`${name} did not build: the compiler's message is above`);
    throw Object.assign(error, { code: 'M3L_ADDON_BUILD' });
  }
  return join(stage, 'prebuilds', platform);
}

/**
 * CMake configures a folder once, whatever it is given later.
 * @param {string} folder @param {string[]} options
 */
function configureFor(folder, options) {
  const stamp = join(folder, '.m3l-configured');
  const wanted = options.join('\n');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  writeFileSync(stamp, wanted);
}

/** The roots of build/native whose sources were others. @returns {string[]} */
export function outdatedBuilds() {
  return (existsSync(native) ? readdirSync(native) : []).filter((name) => {
    const part = name === 'loader' || name === 'image' ? name : 'torch';
    const stamp = join(native, name, '.m3l-key');
    const built = existsSync(stamp) ? readFileSync(stamp, 'utf8').split('-')[0] : '';
    return ![false, true].some((cuda) => sourcesHash(part, cuda) === built);
  });
}

/** What clang-tidy and editors read. */
function joinCompileCommands() {
  const stage = join(root, 'build', 'stage');
  const commands = readdirSync(stage)
    .map((name) => join(stage, name, 'build', 'compile_commands.json'))
    .filter((file) => existsSync(file))
    .flatMap((file) => JSON.parse(readFileSync(file, 'utf8')));
  writeFileSync(join(root, 'build', 'compile_commands.json'), JSON.stringify(commands, null, 1));
}

/** @param {{ libtorchs: string[], sysroot?: string, log?: (line: string) => void }} options */
export async function buildAddon({ libtorchs, sysroot = '', log = console.error }) {
  for (const build of buildsFor(libtorchs, log)) {
    const target = join(native, build.root, 'prebuilds', platform);
    const stamp = join(native, build.root, '.m3l-key');
    const key = keyOf(build, sysroot);
    const complete = (/** @type {string} */ folder) =>
      build.files.every((file) => existsSync(join(folder, file)));
    if (complete(target) && existsSync(stamp) && readFileSync(stamp, 'utf8') === key) continue;
    const cached = join(home(), 'addon', key);
    if (complete(cached)) log(`${build.root} from the cache (${cached})`);
    else {
      log(`building ${build.root} (C++${build.libtorch === null ? '' : ', about a minute'})`);
      copyFiles(await prebuild(build, sysroot), cached, build.files);
      joinCompileCommands();
    }
    copyFiles(cached, target, build.files);
    writeFileSync(stamp, key);
  }
  // One for another libtorch that other sources made would disagree with the library.
  for (const name of outdatedBuilds()) rmSync(join(native, name), { recursive: true });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const { LIBTORCH } = process.env;
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: { sysroot: { type: 'string', default: '' } },
    });
    const named = (positionals.length > 0 || !LIBTORCH ? positionals : [LIBTORCH]).map((folder) =>
      resolve(folder),
    );
    await buildAddon({
      sysroot: values.sysroot,
      libtorchs: named.length > 0 ? named : [await install({ variant: 'cpu' })],
    });
  } catch (error) {
    console.error(error instanceof Error && 'code' in error ? error.message : error);
    process.exit(1);
  }
}
