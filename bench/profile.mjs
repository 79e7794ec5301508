#!/usr/bin/env node
// node bench/profile.mjs [--write] [--json] [--only NAME] [--sizes]: which operators the time of our side
// goes into, for the cases whose targets are about time; for each set of tensor sizes with --sizes.
import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { torch } from '../dist/index.js';
import { optimizeForInference } from '../dist/inference/index.js';
import { createModel } from '../dist/models/index.js';
import { withProfiles } from './report.mjs';
import { median } from './statistics.mjs';
import { B0, B2, createStepper, makeBatch } from './step.mjs';

const DOCUMENT = new URL('../docs/benchmarks.md', import.meta.url);
const THREADS = 2;
/** Rows shown of a case: of operators, and of operators by sizes. */
const MOST = 12;
const MOST_BY_SIZES = 100;

/** What a case does once, and how it ends. */
function training(settings) {
  const batch = torch.detached(() => makeBatch(settings));
  const stepper = createStepper(batch, settings);
  return {
    run: () => stepper.step(1),
    dispose() {
      stepper.dispose();
      torch.dispose(batch);
    },
  };
}

function inference(backbone, size, dtype = 'float32') {
  const { model, inputs } = torch.detached(() => ({
    model: createModel({ name: 'linear-fusion', backbone, numClasses: 13 }).eval().to({ dtype }),
    inputs: [0, 1].map(() => torch.randn([1, 3, size, size]).to({ dtype })),
  }));
  const view = optimizeForInference(model);
  return {
    run: async () => torch.scope(() => void view.forward(inputs)),
    dispose() {
      view.dispose();
      model.dispose();
      torch.dispose(inputs);
    },
  };
}

const CASES = [
  { name: 'm3l-step', title: 'MiT-B0, 128², L = U = 2', runs: 20, make: () => training(B0) },
  { name: 'm3l-step-b2', title: 'MiT-B2, 256², L = U = 1', runs: 4, make: () => training(B2) },
  {
    name: 'inference-b0-128',
    title: 'one pair, MiT-B0, 128²',
    runs: 100,
    make: () => inference('mit-b0', 128),
  },
  {
    name: 'inference-b2-540',
    title: 'one pair, MiT-B2, 540²',
    runs: 6,
    make: () => inference('mit-b2', 540),
  },
  {
    name: 'inference-b2-540-bfloat16',
    title: 'the same in bfloat16',
    runs: 6,
    make: () => inference('mit-b2', 540, 'bfloat16'),
  },
];

async function profile({ name, title, runs, make }, { sizes }) {
  torch.manualSeed(1);
  const { run, dispose } = make();
  // By then the way of every product is chosen, and no memory is new.
  for (let i = 0; i < 8; i++) await run();
  const times = [];
  for (let i = 0; i < runs; i++) {
    const start = performance.now();
    await run();
    times.push(performance.now() - start);
  }
  const end = torch.profile({ sizes });
  for (let i = 0; i < runs; i++) await run();
  const operators = end();
  dispose();
  const total = operators.reduce((sum, { selfMs }) => sum + selfMs, 0);
  return {
    name,
    title,
    ms: median(times),
    operators: operators.slice(0, sizes ? MOST_BY_SIZES : MOST).map((row) => ({
      name: row.name,
      sizes: row.sizes,
      calls: row.calls / runs,
      ms: row.selfMs / runs,
      share: row.selfMs / total,
    })),
  };
}

const { values } = parseArgs({
  options: {
    write: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    only: { type: 'string' },
    sizes: { type: 'boolean', default: false },
  },
});
if (values.write && values.sizes) {
  console.error('profile: --sizes prints; --write keeps the table of operators. Leave one out.');
  process.exit(2);
}
torch.setNumThreads(THREADS);
const profiles = [];
for (const one of CASES.filter(({ name }) => !values.only || name.includes(values.only))) {
  const result = await profile(one, values);
  profiles.push(result);
  if (values.json) {
    console.log(JSON.stringify(result));
    continue;
  }
  console.log(`${result.name} (${result.title}): ${result.ms.toFixed(1)} ms`);
  for (const { name, sizes, calls, ms, share } of result.operators) {
    const figures = `${ms.toFixed(2).padStart(9)} ms ${(100 * share).toFixed(1).padStart(5)} %`;
    console.log(`${figures}  ${calls.toFixed(0).padStart(4)} × ${name} ${sizes}`.trimEnd());
  }
}
if (values.write) writeFileSync(DOCUMENT, withProfiles(readFileSync(DOCUMENT, 'utf8'), profiles));
