// Lays out each package in a folder of its own, ready for `npm pack`.
import { spawnSync } from 'node:child_process';
import { cpSync, linkSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { slim } from './slim.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const here = fileURLToPath(new URL('.', import.meta.url));
/** PyTorch's libraries that the core and the kernels need when they run. */
const LIBRARIES = [
  ...['libtorch.so', 'libtorch_cpu.so', 'libc10.so', 'libtorch_global_deps.so'],
  'libgomp.so.1',
];

/** @param {string} file */
const json = (file) => JSON.parse(readFileSync(file, 'utf8'));

/** @param {string} folder @param {object} manifest */
function writeManifest(folder, manifest) {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
}

/** @param {string} from @param {string} to */
function copy(from, to) {
  mkdirSync(dirname(to), { recursive: true });
  cpSync(from, to, { recursive: true });
}

/** A text of scripts/release/licences, or any other. @param {string} folder @param {string} name @param {string} [text] */
function addLicence(folder, name, text = join(here, 'licences', basename(name))) {
  copy(text, join(folder, 'licenses', name));
}

/** @param {string} folder */
function copyLicence(folder) {
  for (const name of ['LICENSE', 'NOTICE']) copy(join(root, name), join(folder, name));
}

/** The minors of libtorch in a native folder: ['2.13', '2.14']. @param {string} native */
function minorsOf(native) {
  return readdirSync(native)
    .flatMap((name) => /^torch-(\d+\.\d+)$/.exec(name)?.[1] ?? [])
    .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
}

/**
 * m3l itself. The packages that it goes with are named here and not in the repository: of the version
 * that is being worked on there are none yet, which `npm ci` would look for.
 * @param {string} folder
 */
export function stageLibrary(folder) {
  const { stdout } = spawnSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  });
  const [{ files }] = JSON.parse(stdout);
  for (const { path } of files) copy(join(root, path), join(folder, path));
  const { scripts, devDependencies, binary, ...manifest } = json(join(root, 'package.json'));
  const range = minorsOf(join(root, 'build', 'native')).map((minor) => `~${minor}.0`);
  writeManifest(folder, {
    ...manifest,
    optionalDependencies: { '@m3l/linux-x64': manifest.version },
    peerDependencies: {
      ...manifest.peerDependencies,
      '@m3l/libtorch-linux-x64': range.join(' || '),
    },
    peerDependenciesMeta: {
      ...manifest.peerDependenciesMeta,
      '@m3l/libtorch-linux-x64': { optional: true },
    },
  });
  slim(folder);
  return folder;
}

/**
 * The texts are those of what is compiled in: headers of PyTorch and of Node's addon interface, and in
 * kernels for CUDA its runtime.
 * @param {string} folder @param {string} native @param {string} libtorch as stageLibtorch's
 */
export function stageNative(folder, native, libtorch) {
  const { version } = json(join(root, 'package.json'));
  writeManifest(folder, { version, ...json(join(here, 'linux-x64.json')) });
  for (const name of readdirSync(native)) {
    copy(join(native, name, 'prebuilds'), join(folder, name, 'prebuilds'));
  }
  copy(join(here, 'linux-x64.md'), join(folder, 'README.md'));
  copyLicence(folder);
  addLicence(folder, 'pytorch/LICENSE', join(wheelInfo(libtorch), 'licenses', 'LICENSE'));
  const modules = join(root, 'node_modules');
  addLicence(folder, 'node-addon-api/LICENSE', join(modules, 'node-addon-api', 'LICENSE.md'));
  addLicence(folder, 'node-api-headers/LICENSE', join(modules, 'node-api-headers', 'LICENSE'));
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  if (files.some((name) => basename(name) === 'm3l_kernels_cuda.so')) {
    addLicence(folder, 'cuda-runtime/NVIDIA-CUDA-EULA.txt');
  }
  return folder;
}

/** The dist-info folder of a wheel's torch folder: its licences. @param {string} libtorch */
function wheelInfo(libtorch) {
  const wheel = dirname(libtorch);
  const info = readdirSync(wheel).find((name) => /^torch-.*\.dist-info$/.test(name));
  if (info !== undefined) return join(wheel, info);
  const message = `${wheel} holds no torch-*.dist-info with PyTorch's licences: give --libtorch the torch folder of an unpacked wheel`;
  throw Object.assign(new Error(message), { code: 'M3L_PACK' });
}

/** @param {string} folder @param {string} libtorch a wheel's torch folder, its dist-info beside it */
export function stageLibtorch(folder, libtorch) {
  const info = wheelInfo(libtorch);
  const metadata = readFileSync(join(info, 'METADATA'), 'utf8');
  const field = (/** @type {string} */ name) =>
    new RegExp(`^${name}: (.+)$`, 'm').exec(metadata)?.[1] ?? '';
  const version = field('Version');
  const others = ['GPL-3.0-or-later WITH GCC-exception-3.1', 'LicenseRef-Intel-Simplified'];
  const licence = [field('License-Expression'), ...others].join(' AND ');
  const [number] = version.split('+');
  const template = json(join(here, 'libtorch-linux-x64.json'));
  writeManifest(folder, { ...template, version: number, license: licence });
  for (const name of LIBRARIES) {
    mkdirSync(join(folder, 'lib'), { recursive: true });
    linkOrCopy(join(libtorch, 'lib', name), join(folder, 'lib', name));
  }
  copy(join(libtorch, 'version.py'), join(folder, 'version.py'));
  copy(join(info, 'licenses', 'LICENSE'), join(folder, 'LICENSE'));
  addLicence(folder, 'third_party', join(info, 'licenses', 'third_party'));
  addLicence(folder, 'libgomp/GPL-3.0.txt');
  addLicence(folder, 'libgomp/GCC-exception-3.1.txt');
  addLicence(folder, 'mkl/Intel-simplified-2022-10.txt');
  copy(join(here, 'libtorch-linux-x64.md'), join(folder, 'README.md'));
  writeFileSync(join(folder, 'NOTICE'), notice(version));
  return folder;
}

/** @param {string} version */
function notice(version) {
  return `This package holds libraries of PyTorch ${version}, unchanged, from its wheel for Linux on x86-64:
${LIBRARIES.join(', ')}.

PyTorch: https://pytorch.org, https://github.com/pytorch/pytorch. Its licence and copyright notices are in
LICENSE, those of what is compiled into it in licenses/third_party.

libtorch_cpu.so contains Intel's oneAPI Math Kernel Library, Copyright Intel Corporation, under the Intel Simplified
Software License, version October 2022: licenses/mkl.

libgomp.so.1 is the OpenMP runtime of GCC, Copyright Free Software Foundation, Inc., under the GNU General Public
License, version 3 or later, with the GCC Runtime Library Exception, version 3.1: licenses/libgomp. The build is
AlmaLinux 8's; its source is part of GCC 8.5: https://gcc.gnu.org.
`;
}

/** Half a gigabyte need not be written twice. @param {string} from @param {string} to */
function linkOrCopy(from, to) {
  try {
    linkSync(from, to);
  } catch {
    cpSync(from, to);
  }
}
