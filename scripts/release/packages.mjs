// Lays out each package in a folder of its own, ready for `npm pack`.
import { spawnSync } from 'node:child_process';
import { cpSync, linkSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
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
    peerDependencies: { '@m3l/libtorch-linux-x64': range.join(' || ') },
    peerDependenciesMeta: { '@m3l/libtorch-linux-x64': { optional: true } },
  });
  slim(folder);
  return folder;
}

/** @param {string} folder @param {string} native */
export function stageNative(folder, native) {
  const { version } = json(join(root, 'package.json'));
  writeManifest(folder, { version, ...json(join(here, 'linux-x64.json')) });
  for (const name of readdirSync(native)) {
    copy(join(native, name, 'prebuilds'), join(folder, name, 'prebuilds'));
  }
  copy(join(here, 'linux-x64.md'), join(folder, 'README.md'));
  copyLicence(folder);
  return folder;
}

/** @param {string} folder @param {string} libtorch a wheel's torch folder, its dist-info beside it */
export function stageLibtorch(folder, libtorch) {
  const wheel = dirname(libtorch);
  const info = readdirSync(wheel).find((name) => /^torch-.*\.dist-info$/.test(name));
  if (info === undefined) {
    const message = `${wheel} holds no torch-*.dist-info with PyTorch's licences: give --libtorch the torch folder of an unpacked wheel`;
    throw Object.assign(new Error(message), { code: 'M3L_PACK' });
  }
  const metadata = readFileSync(join(wheel, info, 'METADATA'), 'utf8');
  const field = (/** @type {string} */ name) =>
    new RegExp(`^${name}: (.+)$`, 'm').exec(metadata)?.[1] ?? '';
  const version = field('Version');
  const licence = `${field('License-Expression')} AND GPL-3.0-or-later WITH GCC-exception-3.1`;
  const [number] = version.split('+');
  const template = json(join(here, 'libtorch-linux-x64.json'));
  writeManifest(folder, { ...template, version: number, license: licence });
  for (const name of LIBRARIES) {
    mkdirSync(join(folder, 'lib'), { recursive: true });
    linkOrCopy(join(libtorch, 'lib', name), join(folder, 'lib', name));
  }
  copy(join(libtorch, 'version.py'), join(folder, 'version.py'));
  const licences = join(wheel, info, 'licenses');
  copy(join(licences, 'LICENSE'), join(folder, 'LICENSE'));
  copy(join(licences, 'third_party'), join(folder, 'licenses', 'third_party'));
  copy(join(here, 'libtorch-linux-x64.md'), join(folder, 'README.md'));
  writeFileSync(join(folder, 'NOTICE'), notice(version));
  return folder;
}

/** @param {string} version */
function notice(version) {
  return `This package holds libraries of PyTorch ${version}, unchanged, from its wheel for Linux on x86-64:
${LIBRARIES.join(', ')}.

PyTorch: https://pytorch.org, https://github.com/pytorch/pytorch. Its licence and copyright notices are in
LICENSE, those of what is compiled into it in licenses/.

libgomp.so.1 is GCC's OpenMP runtime, Copyright Free Software Foundation, Inc., under the GNU General Public
License, version 3 or later, with the GCC Runtime Library Exception, version 3.1; its source is part of GCC:
https://gcc.gnu.org.
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
