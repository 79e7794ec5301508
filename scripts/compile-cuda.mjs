// Compiles every CUDA kernel with nvcc, and the registrations beside them with the C++ compiler against
// libtorch's and CUDA's own headers, warnings as errors: no GPU and no libtorch with CUDA needed. With --link
// also links all of it against the CUDA libtorch.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { cpus, freemem, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { home, install, installForLinking, namedLibtorch } from './libtorch.mjs';
import { which } from './tools.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = join(root, 'binding', 'kernels', 'cuda');
const OLDEST_NVCC = 12.8;
const FLAGS = [
  '-std=c++20',
  '-O3',
  ...[80, 90, 100].flatMap((sm) => ['-gencode', `arch=compute_${sm},code=sm_${sm}`]),
  ...['-Werror', 'all-warnings', '-Xcompiler', '-Wall,-Wextra,-Werror'],
];

/**
 * The CUDA compiler, or why there is none that does.
 * @returns {{ nvcc: string, version: string } | { nvcc: null, reason: string }}
 */
export function findNvcc() {
  const places = [process.env.CUDA_HOME, process.env.CUDA_PATH, '/usr/local/cuda'];
  const nvcc =
    which('nvcc') ??
    places
      .map((place) => place && join(place, 'bin', 'nvcc'))
      .find((path) => path && existsSync(path));
  if (!nvcc) {
    return { nvcc: null, reason: 'no nvcc on the PATH, in CUDA_HOME or in /usr/local/cuda/bin' };
  }
  const { stdout } = spawnSync(nvcc, ['--version'], { encoding: 'utf8' });
  const [, release, version] = /release ([\d.]+), V([\d.]+)/.exec(stdout ?? '') ?? [];
  if (release === undefined) return { nvcc: null, reason: `${nvcc} --version does not run` };
  if (Number(release) < OLDEST_NVCC) {
    return { nvcc: null, reason: `${nvcc} is ${version}; ${OLDEST_NVCC} or newer is needed` };
  }
  return { nvcc, version: String(version) };
}

/** @param {string} ending */
function sources(ending) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => name.endsWith(ending))
    .sort();
}

/**
 * Compiles what has not been compiled before: as many files at a time as there are processors, and two
 * gigabytes for each.
 * @param {string} name @param {string[]} files of `folder` @param {import('node:crypto').Hash} shared
 * @param {(source: string) => [command: string, ...args: string[]] | Promise<[command: string, ...args: string[]]>} command
 * @returns {Promise<boolean>} whether all went well
 */
async function compileChanged(name, files, shared, command) {
  const stamps = join(home(), 'cuda-compiled');
  mkdirSync(stamps, { recursive: true });
  const waiting = [...files];
  let ok = true;
  const compiler = async () => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      const source = join(folder, file);
      const key = shared.copy().update(readFileSync(source)).digest('hex').slice(0, 32);
      const stamp = join(stamps, key);
      if (existsSync(stamp)) continue;
      console.error(`${name} ${file}`);
      const [program, ...args] = await command(source);
      const child = spawn(program, args, { stdio: ['ignore', 2, 2] });
      const [status] = await once(child, 'exit');
      if (status === 0) writeFileSync(stamp, `${file}\n`);
      else ok = false;
    }
  };
  const atOnce = Math.max(1, Math.min(cpus().length, Math.floor(freemem() / 2 ** 31)));
  await Promise.all(Array.from({ length: atOnce }, compiler));
  return ok;
}

/** @param {string} nvcc @param {string} version */
function compileKernels(nvcc, version) {
  const shared = createHash('sha256').update(version).update(FLAGS.join(' '));
  for (const header of headers(folder)) shared.update(readFileSync(header));
  return compileChanged('cuda: compile', sources('.cu'), shared, (source) => [
    nvcc,
    ...[...FLAGS, '-c', source, '-o', '/dev/null'],
  ]);
}

/**
 * Their headers are of the libtorch without CUDA, which has them all but the one that its build writes.
 * @param {string} nvcc @param {string} version
 */
async function compileRegistrations(nvcc, version) {
  const { stderr } = spawnSync(nvcc, ['--dryrun', '-c', 'x.cpp', '-o', 'x.o'], {
    encoding: 'utf8',
  });
  const [, toolkit = '/usr/local/cuda'] = /^#\$ TOP=(.+)$/m.exec(stderr ?? '') ?? [];
  const libtorch = namedLibtorch() ?? (await install({ variant: 'cpu' }));
  const flags = [
    ...['-std=c++20', '-Wall', '-Wextra', '-Werror', '-DC10_CUDA_NO_CMAKE_CONFIGURE_FILE'],
    ...['include', 'include/torch/csrc/api/include'].flatMap((part) => [
      '-isystem',
      join(libtorch, part),
    ]),
    ...['-isystem', join(toolkit, 'include')],
  ];
  const compiler = process.env.CXX || 'c++';
  const shared = createHash('sha256').update(version).update(flags.join(' '));
  for (const header of headers(join(folder, '..'), folder)) shared.update(readFileSync(header));
  const scratch = mkdtempSync(join(tmpdir(), 'm3l-registrations-'));
  const first = join(scratch, 'first.h');
  writeFileSync(first, `#include "${join(folder, 'host.h')}"\n`);
  /** @type {Promise<unknown> | undefined} */
  let precompiled;
  try {
    return await compileChanged('cuda: registration', sources('.cpp'), shared, async (source) => {
      precompiled ??= once(
        spawn(compiler, [...flags, '-x', 'c++-header', first, '-o', `${first}.gch`], {
          stdio: ['ignore', 2, 2],
        }),
        'exit',
      );
      await precompiled;
      return [compiler, ...flags, '-fsyntax-only', '-include', first, source];
    });
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

/** @param {...string} folders */
function headers(...folders) {
  return folders.flatMap((where) =>
    readdirSync(where)
      .filter((name) => /\.(h|cuh)$/.test(name))
      .sort()
      .map((name) => join(where, name)),
  );
}

export async function compileCuda() {
  const name = 'cuda: compile';
  const found = findNvcc();
  if (found.nvcc === null) {
    console.error(`${name} skipped: ${found.reason}`);
    return { name, ok: true };
  }
  const kernels = await compileKernels(found.nvcc, found.version);
  return { name, ok: (await compileRegistrations(found.nvcc, found.version)) && kernels };
}

/**
 * Builds m3l_kernels_cuda.so, no symbol left undefined, against LIBTORCH where that has CUDA, else
 * against the pinned CUDA wheel.
 */
export async function linkCuda() {
  const name = 'cuda: link';
  const found = findNvcc();
  if (found.nvcc === null) {
    console.error(`${name} skipped: ${found.reason}`);
    return { name, ok: true };
  }
  const given = process.env.LIBTORCH;
  const libtorch =
    given && existsSync(join(given, 'lib', 'libtorch_cuda.so'))
      ? given
      : await installForLinking({ variant: 'cu130' });
  const build = join(root, 'build', 'cuda-link');
  // A cache of another nvcc or libtorch would be mixed with what is given now.
  rmSync(join(build, 'CMakeCache.txt'), { force: true });
  // A kernel that its registration names but no .cu instantiates is found here, not at run time.
  const linker = `-Wl,--no-undefined -Wl,--no-as-needed ${join(libtorch, 'lib', 'libgomp.so.1')}`;
  const steps = [
    [
      ...[
        '-S',
        root,
        '-B',
        build,
        '-DM3L_PARTS=torch',
        '-DM3L_CUDA=ON',
        '-DM3L_WARNINGS_ARE_ERRORS=ON',
        `-DLIBTORCH_DIR=${libtorch}`,
      ],
      ...[`-DCMAKE_CUDA_COMPILER=${found.nvcc}`, `-DCMAKE_MODULE_LINKER_FLAGS=${linker}`],
    ],
    ['--build', build, '--target', 'm3l_kernels_cuda'],
  ];
  const ok = steps.every(
    (args) => spawnSync('cmake', args, { stdio: ['ignore', 2, 2] }).status === 0,
  );
  return { name, ok };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const results = [await compileCuda()];
  if (process.argv.includes('--link')) results.push(await linkCuda());
  for (const { name, ok } of results) console.error(`${ok ? 'ok  ' : 'FAIL'} ${name}`);
  process.exit(results.every(({ ok }) => ok) ? 0 : 1);
}
