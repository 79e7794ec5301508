// npm run bench [-- --only NAME] [--json] [--runs N] [--section HEADING] [--write] [--list]
// --section: what is written is a section of the page, not the table of all.
// Every case runs beside its peer, alternating; what counts is the ratio ours/peer of the medians.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { loadCases } from './cases.mjs';
import { inProcess } from './child.mjs';
import { markdown, table, withCases } from './report.mjs';

const DOCUMENT = new URL('../docs/benchmarks.md', import.meta.url);

function options() {
  try {
    return parseArgs({
      options: {
        only: { type: 'string', multiple: true, default: [] },
        runs: { type: 'string' },
        json: { type: 'boolean', default: false },
        write: { type: 'boolean', default: false },
        section: { type: 'string' },
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

function choose(cases, only) {
  const unknown = only.find((wanted) => !cases.some(({ name }) => name.includes(wanted)));
  if (unknown !== undefined) {
    fail(`no case is named '${unknown}'; there are ${cases.map(({ name }) => name).join(', ')}`);
  }
  return cases.filter(({ name }) => only.length === 0 || only.some((part) => name.includes(part)));
}

const chosen = options();
const cases = choose(await loadCases(), chosen.only);
if (chosen.list) {
  for (const { name, title } of cases) console.log(`${name}  ${title}`);
  process.exit(0);
}
const runs = chosen.runs === undefined ? undefined : Number(chosen.runs);
if (runs !== undefined && !(Number.isInteger(runs) && runs > 0)) {
  fail(`--runs is '${chosen.runs}'; expected a whole number above 0`);
}

const results = [];
let complete = true;
for (const { name } of cases) {
  console.error(`bench: ${name} …`);
  // In a process of its own, as the peer is: a case before it leaves a heap, threads and compiled code
  // behind that are not those of a program that does this one thing.
  const { result, skipped, left } = await inProcess('case.mjs', name, runs);
  if (result) {
    results.push(result);
    if (chosen.json) console.log(JSON.stringify(result));
  } else if (skipped) {
    console.error(`bench: ${name} is skipped: ${skipped}`);
  } else {
    console.error(`bench: ${name} is left out: ${left}`);
    complete = false;
  }
}
if (!chosen.json) console.log(table(results));
if (chosen.write) {
  const before = existsSync(DOCUMENT) ? readFileSync(DOCUMENT, 'utf8') : '';
  const { section, only } = chosen;
  writeFileSync(
    DOCUMENT,
    section === undefined ? markdown(results, before) : withCases(before, section, results, only),
  );
  console.error('bench: docs/benchmarks.md is written');
}
process.exitCode = complete && results.every(({ ok }) => ok) ? 0 : 1;
