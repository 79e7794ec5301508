#!/usr/bin/env node
// Trains Linear Fusion three ways on procedural rooms and shows what becomes of each when a
// modality is missing. `npm run demo` prepares everything and runs this.
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { seeds } from '../dist/cli/arguments.js';
import { compareProgress } from '../dist/cli/compare-progress.js';
import { comparisonTable } from '../dist/cli/comparison-table.js';
import { report } from '../dist/cli/output.js';
import { duration } from '../dist/cli/progress.js';
import { compareFrameworks, freshName } from '../dist/experiment/index.js';

async function main() {
  const { values } = parseArgs({
    options: {
      config: { type: 'string' },
      seeds: { type: 'string', default: '1' },
      fills: { type: 'string', default: 'zeros' },
      set: { type: 'string', multiple: true, default: [] },
      out: { type: 'string' },
    },
  });
  const started = Date.now();
  console.log('Linear Fusion (MiT-B0) on procedural RGB-D rooms, trained three ways.\n');
  const progress = compareProgress();
  const comparison = await compareFrameworks({
    config: values.config ?? fileURLToPath(new URL('../configs/rooms-demo.yaml', import.meta.url)),
    frameworks: ['supervised', 'mean-teacher', 'm3l'],
    seeds: seeds(values.seeds),
    fills: values.fills.split(','),
    sets: values.set,
    folder: values.out ?? freshName('demo'),
    onEvent: progress.onEvent,
  }).finally(progress.end);

  console.log(`\n${comparisonTable(comparison, { bestOnly: true })}\n`);
  const { points } = comparison.gains.find(
    ({ framework, baseline, fill }) =>
      framework === 'm3l' && baseline === 'supervised' && fill === 'best',
  );
  const count = points.values.length;
  const each = count > 1 ? ` (by seed: ${points.values.map((g) => g.toFixed(1)).join(', ')})` : '';
  const by = `${Math.abs(points.mean).toFixed(1)} points of robust mIoU`;
  console.log(`M3L is ${by} ${points.mean >= 0 ? 'ahead of' : 'behind'} supervised${each}.`);
  const sheet = comparison.runs.find(({ framework }) => framework === 'm3l')?.samples;
  console.log(`What M3L sees and says, with and without each modality: ${sheet}`);
  if (count < 3) console.log('Over three seeds: npm run demo -- --seeds 3');
  console.log(`${duration((Date.now() - started) / 1000)} in all.`);
}

await main().catch((error) => {
  process.exitCode = report(error, false);
});
