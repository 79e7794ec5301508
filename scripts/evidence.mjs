#!/usr/bin/env node
// Trains every framework and every model on rooms and potholes, three seeds each, into docs/results.md:
//   npm run evidence -- [--out FOLDER] [--jobs N] [--docs]
// A run that --out holds already is not repeated, one that was stopped is gone on with.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { EXIT, report } from '../dist/cli/output.js';
import { writeBetween } from './between-markers.mjs';

const SUITES = ['rooms', 'potholes'];

const M3L = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));

function main() {
  const { values } = parseArgs({
    options: {
      out: { type: 'string', default: 'runs/evidence' },
      jobs: { type: 'string', default: '1' },
      docs: { type: 'boolean', default: false },
    },
  });
  for (const suite of SUITES) {
    const file = fileURLToPath(new URL(`../configs/suite/evidence/${suite}.yaml`, import.meta.url));
    const folder = join(values.out, suite);
    const command = [M3L, 'benchmark', file, '--out', folder, '--jobs', values.jobs];
    const { status } = spawnSync(process.execPath, command, { stdio: 'inherit' });
    if (status !== EXIT.ok) return status ?? EXIT.failure;
    const [, ...table] = readFileSync(join(folder, 'results.md'), 'utf8').trim().split('\n');
    if (!values.docs) continue;
    writeBetween(
      'results.md',
      `evidence: ${suite}`,
      'npm run evidence -- --docs',
      table.join('\n').trim(),
    );
  }
  return EXIT.ok;
}

try {
  process.exitCode = main();
} catch (error) {
  process.exitCode = report(error, false);
}
