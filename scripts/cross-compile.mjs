#!/usr/bin/env node
// Compiles binding/ for 64-bit ARM with Debian's cross compiler: `node scripts/cross-compile.mjs [part of
// a path …]`. The addons that need no libtorch are linked; the core and the kernels are compiled against
// this machine's libtorch headers, which are the same for every processor, and nothing is run.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findLibtorch } from '../dist/torch/libtorch.js';
import { which } from './tools.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const COMPILER = 'aarch64-linux-gnu-g++';
const AARCH64 = 183;

const libtorch = findLibtorch()?.folder ?? '';
const common = [
  ...['-std=c++20', '-fPIC', '-fvisibility=hidden', '-fno-plt'],
  ...['-Wall', '-Wextra', '-Wpedantic', '-Werror'],
  ...['-DNAPI_VERSION=9', '-DNODE_ADDON_API_CPP_EXCEPTIONS_ALL'],
  '-DNODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS',
  ...['node-api-headers/include', 'node-addon-api'].flatMap((folder) => [
    '-isystem',
    join(root, 'node_modules', folder),
  ]),
];
const withTorch = ['include', 'include/torch/csrc/api/include'].flatMap((folder) => [
  '-isystem',
  join(libtorch, folder),
]);

/** @type {{ name: string, folders: string[], flags: string[], header: string | null }[]} */
const PARTS = [
  { name: 'm3l_loader', folders: ['loader'], flags: [], header: null },
  { name: 'm3l_image', folders: ['image'], flags: ['-ffp-contract=off'], header: null },
  {
    name: 'm3l_kernels',
    folders: ['kernels', 'kernels/cpu'],
    flags: [...withTorch, '-fopenmp', `-I${join(root, 'binding/kernels')}`],
    header: 'kernels/torch.h',
  },
  { name: 'm3l_core', folders: ['core'], flags: withTorch, header: 'core/torch.h' },
];

function main() {
  if (which(COMPILER) === null) {
    return refuse(`${COMPILER} not found: apt-get install g++-aarch64-linux-gnu`);
  }
  if (!existsSync(join(libtorch, 'include'))) {
    return refuse(
      `libtorch's folder '${libtorch}' has no include/: run npm run setup, or set LIBTORCH`,
    );
  }
  const output = mkdtempSync(join(tmpdir(), 'm3l-aarch64-'));
  try {
    const wanted = process.argv.slice(2);
    const results = PARTS.map((part) => compile(part, wanted, output));
    process.exitCode = results.every(Boolean) ? 0 : 1;
  } finally {
    rmSync(output, { recursive: true, force: true });
  }
}

/** @param {(typeof PARTS)[number]} part @param {string[]} wanted @param {string} output */
function compile({ name, folders, flags, header }, wanted, output) {
  const sources = folders
    .flatMap((folder) =>
      readdirSync(join(root, 'binding', folder)).map((file) => `${folder}/${file}`),
    )
    .filter((file) => file.endsWith('.cpp'))
    .filter((file) => wanted.length === 0 || wanted.some((one) => `binding/${file}`.includes(one)));
  if (sources.length === 0) return true;
  const path = (/** @type {string} */ file) => join(root, 'binding', file);
  if (header === null) {
    const file = join(output, `${name}.node`);
    const ok = run('-O2', '-shared', ...flags, ...sources.map(path), '-o', file);
    // Of an ELF file: which processor it is for.
    const machine = ok ? readFileSync(file).readUInt16LE(18) : 0;
    return report(machine === AARCH64, `${name}: linked for aarch64`, sources);
  }
  // Most of the time goes into libtorch's headers: they are read once.
  const shared = join(output, `${name}.h`);
  writeFileSync(shared, `#include "${path(header)}"\n`);
  if (!run(...flags, '-x', 'c++-header', shared, '-o', `${shared}.gch`)) {
    return report(false, name, [header]);
  }
  const failed = sources.filter(
    (file) => !run(...flags, '-include', shared, '-c', path(file), '-o', `${shared}.o`),
  );
  return report(
    failed.length === 0,
    `${name}: compiled for aarch64`,
    failed.length ? failed : sources,
  );
}

/** @param {...string} args */
function run(...args) {
  return spawnSync(COMPILER, [...common, ...args], { stdio: ['ignore', 2, 2] }).status === 0;
}

/** @param {boolean} ok @param {string} what @param {string[]} files */
function report(ok, what, files) {
  console.log(`${ok ? 'ok  ' : 'FAIL'} ${what} (${files.length} files: ${files.join(', ')})`);
  return ok;
}

/** @param {string} reason */
function refuse(reason) {
  console.error(`cross-compile: ${reason}`);
  process.exitCode = 1;
}

main();
