// Runs tests and counts them.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/**
 * How many tests of the files that `filters` name passed, were skipped and failed.
 * @param {string[]} filters @param {Record<string, string>} [environment]
 */
export function vitest(filters, environment = {}) {
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
    {
      cwd: root,
      stdio: ['ignore', 2, 2],
      env: { OMP_NUM_THREADS: '1', ...process.env, ...environment },
    },
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
