// npm run bench [-- --only NAME] [--json] [--runs N] [--write] [--list]
// Every case runs beside its peer, alternating; what counts is the ratio ours/peer of the medians.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { PeerError } from './peer.mjs';
import { markdown, table } from './report.mjs';

const FOLDER = new URL('cases/', import.meta.url);
const DOCUMENT = new URL('../docs/benchmarks.md', import.meta.url);

function options() {
  try {
    return parseArgs({
      options: {
        only: { type: 'string', multiple: true, default: [] },
        runs: { type: 'string' },
        json: { type: 'boolean', default: false },
        write: { type: 'boolean', default: false },
        list: { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    fail(error.message);
  }
}

function fail(message) {
  console.error(`bench: ${message}`);
  process.exit(2);
}

async function loadCases(only) {
  const files = readdirSync(FOLDER).filter((name) => name.endsWith('.mjs'));
  const modules = await Promise.all(files.sort().map((name) => import(new URL(name, FOLDER).href)));
  const cases = modules.flatMap((module) => module.default);
  const unknown = only.find((wanted) => !cases.some(({ name }) => name.includes(wanted)));
  if (unknown !== undefined) {
    fail(`no case is named '${unknown}'; there are ${cases.map(({ name }) => name).join(', ')}`);
  }
  return cases.filter(({ name }) => only.length === 0 || only.some((part) => name.includes(part)));
}

async function runCase(one, runs) {
  const { ours, peer, ...rest } = await one.measure({ runs });
  const ratio = ours / peer;
  const { target, name, unit, title } = one;
  const met = target.ratio !== undefined ? ratio <= target.ratio : ours <= target.ours;
  const ok = met && (rest.lossError === undefined || rest.lossError <= rest.lossBound);
  return { name, ours, peer, ratio, unit, runs, target, ok, title, ...rest };
}

const chosen = options();
const cases = await loadCases(chosen.only);
if (chosen.list) {
  for (const { name, title } of cases) console.log(`${name}  ${title}`);
  process.exit(0);
}
const runs = chosen.runs === undefined ? undefined : Number(chosen.runs);
if (runs !== undefined && !(Number.isInteger(runs) && runs > 0)) {
  fail(`--runs is '${chosen.runs}'; expected a whole number above 0`);
}

const results = [];
let left = false;
for (const one of cases) {
  const reason = one.skip?.() ?? null;
  if (reason !== null) {
    console.error(`bench: ${one.name} is skipped: ${reason}`);
    continue;
  }
  console.error(`bench: ${one.name} …`);
  try {
    const result = await runCase(one, runs ?? one.runs);
    results.push(result);
    if (chosen.json) console.log(JSON.stringify(result));
  } catch (error) {
    // A peer that cannot run here takes only its own cases out.
    if (!(error instanceof PeerError)) throw error;
    console.error(`bench: ${one.name} is left out: ${error.message}`);
    left = true;
  }
}
if (!chosen.json) console.log(table(results));
if (chosen.write) {
  const before = existsSync(DOCUMENT) ? readFileSync(DOCUMENT, 'utf8') : '';
  writeFileSync(DOCUMENT, markdown(results, before));
  console.error('bench: docs/benchmarks.md is written');
}
process.exitCode = !left && results.every(({ ok }) => ok) ? 0 : 1;
