// The tests of the kernels on the CUDA kernels, which binding/kernels/emulation runs on the CPU: no GPU, no
// nvcc and no libtorch with CUDA needed.
//
//     npm run test:emulated-cuda [-- FILTER …]
//
// M3L_EMULATED_ORDER=forward|reverse|shuffled|mixed is the order of threads and blocks (mixed: another
// one for each block), M3L_EMULATED_SEED of shuffled ones.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sourcesHash, warningsAreErrors } from './build-addon.mjs';
import { home, install, namedLibtorch } from './libtorch.mjs';
import { firstLine } from './tools.mjs';
import { vitest } from './vitest.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const FILE = 'm3l_kernels_emulated.so';

/**
 * The path of the emulated kernels, built where the user's cache has none of these sources.
 * @param {{ sanitizers?: string }} [options] sanitizers: as g++ takes them
 */
export async function buildEmulatedCuda({ sanitizers = '' } = {}) {
  const libtorch = namedLibtorch() ?? (await install({ variant: 'cpu' }));
  const key = createHash('sha256')
    .update(`${firstLine('c++') ?? ''}\0${process.arch}\0${sanitizers}\0`)
    .update(readFileSync(join(libtorch, 'include/torch/headeronly/version.h')))
    .digest('hex')
    .slice(0, 16);
  const cached = join(home(), 'addon', `emulated-${sourcesHash('torch', true, true)}-${key}`, FILE);
  if (existsSync(cached)) return cached;
  console.error('building the emulated CUDA kernels (C++, a minute or two)');
  const build = join(root, 'build', sanitizers === '' ? 'emulated' : 'emulated-sanitized');
  const steps = [
    [
      ...['-S', root, '-B', build, '-DM3L_PARTS=torch', `-DLIBTORCH_DIR=${libtorch}`],
      ...['-DM3L_EMULATED_CUDA=ON', `-DM3L_SANITIZERS=${sanitizers}`],
      `-DM3L_WARNINGS_ARE_ERRORS=${warningsAreErrors ? 'ON' : 'OFF'}`,
    ],
    ['--build', build, '--target', 'm3l_kernels_emulated', '--parallel', '2'],
  ];
  for (const step of steps) {
    const { status } = spawnSync('cmake', step, { stdio: ['ignore', 2, 2] });
    if (status !== 0) throw new Error('the emulated kernels did not build: see the message above');
  }
  mkdirSync(join(cached, '..'), { recursive: true });
  // Renamed into place: a process that has an old file mapped must not see it change.
  copyFileSync(join(build, FILE), `${cached}.${process.pid}`);
  renameSync(`${cached}.${process.pid}`, cached);
  return cached;
}

/**
 * Kernels that do not build count as a test that failed.
 * @param {string[]} [filters] @param {Record<string, string>} [environment]
 */
export async function testEmulatedCuda(filters = ['test/kernels'], environment = {}) {
  const started = performance.now();
  let kernels = environment.M3L_KERNELS;
  try {
    kernels ??= await buildEmulatedCuda();
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    return { passed: 0, failed: 1, skipped: 0 };
  }
  const built = performance.now();
  const result = vitest(filters, {
    ...{ M3L_KERNELS: kernels, CUDA_VISIBLE_DEVICES: '' },
    ...environment,
  });
  const seconds = (/** @type {number} */ from, /** @type {number} */ to) =>
    ((to - from) / 1000).toFixed(0);
  console.error(
    `emulated CUDA: ${result.passed} passed, ${result.failed} failed, ${result.skipped} skipped in ` +
      `${seconds(built, performance.now())} s (the build before: ${seconds(started, built)} s)`,
  );
  return result;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const filters = process.argv.slice(2);
  const { failed, passed } = await testEmulatedCuda(filters.length > 0 ? filters : undefined);
  process.exit(failed === 0 && passed > 0 ? 0 : 1);
}
