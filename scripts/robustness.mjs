#!/usr/bin/env node
// Trains several frameworks on one configuration from the same seeds and compares their robust
// mIoU: `node scripts/robustness.mjs CONFIG [--seeds 3] [--frameworks a,b] [--set k=v …]`. A model
// without mask token is given whichever of `--fills` (zeros, noise, mean) serves it best.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createProgress, duration } from '../dist/cli/progress.js';
import { formatTable, percent } from '../dist/cli/table.js';
import {
  evaluateRun,
  headline,
  RunFolder,
  resolveConfig,
  train,
} from '../dist/experiment/index.js';

/** What may stand for a missing modality in a model without mask token. */
export const FILLS = ['zeros', 'noise', 'mean'];

/**
 * @typedef {{ framework: string, seed: number, fill: string | null, cases: number[],
 *   names: string[], robust: number, samples: string | null, seconds: number }} Result
 */

/**
 * Trains one framework with one seed; a model without mask token is given the best of `fills`.
 *
 * @param {{ config: string, framework: string, seed: number, sets: string[], folder: string,
 *   fills: string[] }} job
 * @returns {Promise<Result>}
 */
async function trainOne({ config: file, framework, seed, sets, folder, fills }) {
  const config = resolveConfig(file, [
    ...sets,
    `framework.name=${framework}`,
    `seed=${seed}`,
    `evaluate.fill=${fills[0]}`,
  ]);
  const run = RunFolder.create(config, join(folder, `${framework}-${seed}`));
  const progress = createProgress({
    label: `${framework} (seed ${seed})`.padEnd(22),
    total: config.iterations,
  });
  let meanIoU = null;
  const summary = await train({
    config,
    run,
    onEvent(event) {
      if (event.kind === 'note') progress.note(event.text);
      if (event.kind === 'evaluation') meanIoU = event.report.robustMeanIoU;
      if (event.kind === 'step') {
        const { iteration, loss, imagesPerSecond } = event;
        progress.update({ done: iteration, loss, imagesPerSecond, meanIoU });
      }
    },
  });
  progress.end();

  let report = summary.evaluation;
  for (const fill of report.fill === null ? [] : fills.slice(1)) {
    const other = await evaluateRun(run, { fill });
    if (other.robustMeanIoU > report.robustMeanIoU) report = other;
  }
  const { cases } = headline(report);
  return {
    framework,
    seed,
    fill: report.fill,
    names: cases.map(({ name }) => name),
    cases: cases.map((result) => result.meanIoU),
    robust: report.robustMeanIoU,
    samples: summary.samples,
    seconds: summary.seconds,
  };
}

/**
 * @param {{ config: string, frameworks: string[], seeds: number[], sets?: string[],
 *   folder: string, fills?: string[] }} options
 * @returns {Promise<Result[]>}
 */
export async function compare({ config, frameworks, seeds, sets = [], folder, fills = FILLS }) {
  mkdirSync(folder, { recursive: true });
  const results = [];
  for (const seed of seeds) {
    for (const framework of frameworks) {
      results.push(await trainOne({ config, framework, seed, sets, folder, fills }));
    }
  }
  return results;
}

/**
 * A row a framework: mIoU of each case and robust mIoU, the means over the seeds.
 *
 * @param {Result[]} results
 */
export function comparisonTable(results) {
  const frameworks = [...new Set(results.map(({ framework }) => framework))];
  const rows = frameworks.map((framework) => {
    const own = results.filter((result) => result.framework === framework);
    const robust = own.map((result) => result.robust);
    const fills = [...new Set(own.map(({ fill }) => fill ?? 'mask token'))].join(', ');
    const spread = own.length > 1 ? ` ± ${percent(deviation(robust))}` : '';
    return [
      framework,
      ...own[0].cases.map((_, i) => percent(mean(own.map(({ cases }) => cases[i])))),
      percent(mean(robust)) + spread,
      fills,
    ];
  });
  return formatTable(['mIoU', ...results[0].names, 'robust', 'missing is'], rows);
}

/**
 * By how many points `framework` beats `baseline`, for each seed.
 *
 * @param {Result[]} results
 * @param {string} framework
 * @param {string} baseline
 */
export function gains(results, framework, baseline) {
  const of = (name) => results.filter((result) => result.framework === name);
  return of(framework).flatMap((result) => {
    const other = of(baseline).find(({ seed }) => seed === result.seed);
    return other === undefined ? [] : [100 * (result.robust - other.robust)];
  });
}

/** @param {number[]} values */
export function mean(values) {
  return values.reduce((total, value) => total + value, 0) / values.length;
}

/** @param {number[]} values */
function deviation(values) {
  const middle = mean(values);
  return Math.sqrt(mean(values.map((value) => (value - middle) ** 2)));
}

/** A new folder for the runs of one comparison. @param {string} name */
export function freshFolder(name) {
  const time = new Date().toISOString().replaceAll(/[-:]/g, '').replace('T', '-').slice(0, 15);
  return join('runs', `${name}-${time}`);
}

/**
 * Tells a failure in one message, as the command line does.
 *
 * @param {unknown} error
 */
export function fail(error) {
  const { code, message, stack } = /** @type {Error & { code?: string }} */ (error);
  console.error(process.env.M3L_DEBUG ? stack : `${message}${code ? ` [${code}]` : ''}`);
  process.exitCode = 1;
}

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      seeds: { type: 'string', default: '3' },
      frameworks: { type: 'string', default: 'supervised,m3l' },
      fills: { type: 'string', default: FILLS.join() },
      set: { type: 'string', multiple: true, default: [] },
      out: { type: 'string' },
      json: { type: 'boolean', default: false },
    },
  });
  const config = positionals[0];
  if (config === undefined) {
    throw new Error(
      'Give a configuration: node scripts/robustness.mjs CONFIG [--seeds 3] [--frameworks supervised,m3l] [--fills zeros,noise,mean] [--set key=value] [--out FOLDER] [--json]',
    );
  }
  const started = Date.now();
  const results = await compare({
    config,
    frameworks: values.frameworks.split(','),
    seeds: Array.from({ length: Number(values.seeds) }, (_, index) => index + 1),
    fills: values.fills.split(','),
    sets: values.set,
    folder: values.out ?? freshFolder('robustness'),
  });
  if (values.json) console.log(JSON.stringify(results, null, 2));
  else {
    console.log(`\n${comparisonTable(results)}`);
    const gain = gains(results, 'm3l', 'supervised');
    if (gain.length > 0) {
      const each = gain.map((points) => points.toFixed(1)).join(', ');
      console.log(`\nM3L over supervised: ${mean(gain).toFixed(1)} points (${each}).`);
    }
  }
  console.error(`${duration((Date.now() - started) / 1000)} in all.`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main().catch(fail);
