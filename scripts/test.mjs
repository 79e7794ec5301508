// npm test after setup: lint, the CUDA kernels' compilation, types, every test. The last line reads 'N passed, N failed'.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compileCuda } from './compile-cuda.mjs';
import { lint } from './lint.mjs';

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

/** @param {string[]} filters */
function vitest(filters) {
  const folder = mkdtempSync(join(tmpdir(), 'm3l-test-'));
  const report = join(folder, 'report.json');
  const program = join(root, 'node_modules/vitest/vitest.mjs');
  const { status } = spawnSync(
    process.execPath,
    [
      program,
      'run',
      '--reporter=default',
      '--reporter=json',
      `--outputFile.json=${report}`,
      ...filters,
    ],
    // Two files run at a time: one thread each, lest they wait for each other in busy loops.
    { cwd: root, stdio: ['ignore', 2, 2], env: { OMP_NUM_THREADS: '1', ...process.env } },
  );
  try {
    const { numPassedTests, numFailedTests, numPendingTests, testResults } = JSON.parse(
      readFileSync(report, 'utf8'),
    );
    // A file that fails outside its tests (an import, a leak check) counts too.
    const broken = testResults.filter(
      (/** @type {any} */ file) =>
        file.status === 'failed' &&
        file.assertionResults.every((/** @type {any} */ test) => test.status !== 'failed'),
    ).length;
    const failed = numFailedTests + broken;
    return {
      passed: numPassedTests,
      skipped: numPendingTests,
      failed: status === 0 ? failed : Math.max(failed, 1),
    };
  } catch (error) {
    console.error(`vitest gave no report: ${error}`);
    return { passed: 0, skipped: 0, failed: 1 };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const filters = process.argv.slice(2);
const checks = filters.length > 0 ? [] : [...lint(), compileCuda(), types('test')];
const tests = vitest(filters);
for (const { name, ok } of checks) console.error(`${ok ? 'ok  ' : 'FAIL'} ${name}`);
const failed = tests.failed + checks.filter(({ ok }) => !ok).length;
const passed = tests.passed + checks.filter(({ ok }) => ok).length;
const skipped = tests.skipped > 0 ? `, ${tests.skipped} skipped` : '';
console.log(`${passed} passed, ${failed} failed${skipped}`);
process.exit(failed === 0 && passed > 0 ? 0 : 1);
