/**
 * Replays PyTorch's operator database, as scripts/golden/op-db.py wrote it, through the public API.
 *
 *   node scripts/op-db/main.mjs [FILE]          counts, and what is not equal
 *   … --json=FILE                               writes the outcome of each operator as well, one a line
 *   … --features                                writes docs/FEATURES.md as well
 *   … --calls=FILE.ts                           writes the calls that came out equal as TypeScript as well
 *
 * Operators run in processes of their own, some at a time, so that one that ends its process is counted.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';

const root = fileURLToPath(new URL('../../', import.meta.url));
const flags = process.argv.slice(2).filter((word) => word.startsWith('--'));
const [given] = process.argv.slice(2).filter((word) => !word.startsWith('--'));
const file =
  given ??
  [`${root}build/op-db.jsonl.gz`, `${root}test/fixtures/op-db.jsonl.gz`].find((path) =>
    existsSync(path),
  );
const from = valueOfFlag('--from=');
const operators = gunzipSync(readFileSync(file))
  .toString()
  .split('\n')
  .filter(Boolean)
  .map(JSON.parse);

if (from !== undefined) {
  const { replay } = await import('./replay.mjs');
  for (const operator of operators.slice(Number(from))) {
    console.log(JSON.stringify(replay(operator)));
  }
} else {
  const outcomes = replayAll();
  print(outcomes);
  const json = valueOfFlag('--json=');
  if (json !== undefined) {
    writeFileSync(json, outcomes.map((outcome) => JSON.stringify(outcome)).join('\n'));
  }
  const calls = valueOfFlag('--calls=');
  if (calls !== undefined) writeFileSync(calls, callsFile(outcomes));
  if (flags.includes('--features')) {
    const { writeFeatures } = await import('./features.mjs');
    writeFeatures(outcomes);
  }
}

function valueOfFlag(flag) {
  return flags.find((word) => word.startsWith(flag))?.slice(flag.length);
}

function replayAll() {
  const outcomes = [];
  while (outcomes.length < operators.length) {
    const child = spawnSync(
      process.execPath,
      [fileURLToPath(import.meta.url), file, `--from=${outcomes.length}`],
      {
        encoding: 'utf8',
        maxBuffer: 2 ** 28,
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    outcomes.push(
      ...child.stdout
        .split('\n')
        .filter((line) => line.endsWith('}'))
        .map(JSON.parse),
    );
    if (outcomes.length < operators.length) {
      const { name } = operators[outcomes.length];
      const detail = `ends the process (${child.signal ?? child.status})`;
      outcomes.push({ name, status: 'crashed', samples: 0, forms: [], detail });
    }
  }
  return outcomes;
}

/** Private operators have no types of their own: `torch.ops` gives and takes anything. */
function callsFile(outcomes) {
  const calls = outcomes
    .flatMap(({ calls = [] }) => calls)
    .filter((call) => !call.startsWith('torch.ops.'));
  return [
    "import { nn, torch } from 'm3l';",
    'export const calls = (x: torch.Tensor) => [',
    ...[...new Set(calls)].map((call) => `  () => ${call},`),
    '  nn,',
    '];',
    '',
  ].join('\n');
}

function print(outcomes) {
  const count = (status) => outcomes.filter((outcome) => outcome.status === status).length;
  for (const { name, status, detail } of outcomes) {
    if (status !== 'equal')
      console.log(`${status}  ${name}: ${detail.replace(/\s+/g, ' ').slice(0, 300)}`);
  }
  const sum = (key) => outcomes.reduce((total, outcome) => total + (outcome[key] ?? 0), 0);
  console.log(
    `${count('equal')} of ${outcomes.length - count('left out')} operators equal, ${count('wrong')} wrong, ${count('refused')} refused, ` +
      `${count('crashed')} crashed, ${count('left out')} left out; ${sum('equal')} of ${sum('samples')} samples, gradients of ${sum('gradients')}`,
  );
}
