// npm test after setup: lint, the CUDA kernels' compilation, types, every test, and those of the kernels
// once more on the CUDA ones, emulated. The last line reads 'N passed, N failed'.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compileCuda } from './compile-cuda.mjs';
import { testEmulatedCuda } from './emulated-cuda.mjs';
import { lint } from './lint.mjs';
import { vitest } from './vitest.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));

/** @param {string} project */
function types(project) {
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const { status } = spawnSync(process.execPath, [tsc, '-p', project], {
    cwd: root,
    stdio: ['ignore', 2, 2],
  });
  return { name: `types: ${project}`, ok: status === 0 };
}

const filters = process.argv.slice(2);
const checks = filters.length > 0 ? [] : [...lint(), await compileCuda(), types('test')];
const runs = [vitest(filters), ...(filters.length > 0 ? [] : [await testEmulatedCuda()])];
for (const { name, ok } of checks) console.error(`${ok ? 'ok  ' : 'FAIL'} ${name}`);
/** @param {'passed' | 'failed' | 'skipped'} outcome */
const sum = (outcome) => runs.reduce((total, run) => total + run[outcome], 0);
const failed = sum('failed') + checks.filter(({ ok }) => !ok).length;
const passed = sum('passed') + checks.filter(({ ok }) => ok).length;
const skipped = sum('skipped') > 0 ? `, ${sum('skipped')} skipped` : '';
console.log(`${passed} passed, ${failed} failed${skipped}`);
process.exit(failed === 0 && passed > 0 ? 0 : 1);
