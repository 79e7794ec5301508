// Feeds mutations of valid files to every reader. A case passes where it is read or refused by an
// M3lError; an error without code, 2 s of computing, 512 MB more memory or a death are failures.
//   node scripts/fuzz.mjs [--minutes 1 | --cases N] [--seed 1] [--target NAME,…] [--case N] [--json]
import { fork } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { buildLibrary } from './build-lib.mjs';

const LONGEST_SECONDS = 2;
/** Of waiting without computing, as for a pipe. */
const LONGEST_WAIT_SECONDS = 20;
const MOST_MEMORY = 512 << 20;
const TICKS_PER_SECOND = 100;

const { values: options } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    cases: { type: 'string' },
    seed: { type: 'string', default: '1' },
    target: { type: 'string' },
    case: { type: 'string' },
    out: { type: 'string', default: join(tmpdir(), 'm3l-fuzz-found') },
    json: { type: 'boolean', default: false },
  },
});

buildLibrary();
const { targetNamed, targets } = await import('./fuzz/targets.mjs');
const chosen = options.target === undefined ? targets : options.target.split(',').map(targetNamed);
if (chosen.includes(undefined)) {
  const names = targets.map(({ name }) => name).join(', ');
  console.error(`--target ${options.target}: expected one of ${names}`);
  process.exit(2);
}

const folder = mkdtempSync(join(tmpdir(), 'm3l-fuzz-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const results = [];
for (const target of chosen) results.push(await fuzz(target));
if (options.json)
  console.log(JSON.stringify({ seed: Number(options.seed), targets: results }, null, 2));
process.exitCode = results.some(({ failures }) => failures.length > 0) ? 1 : 0;

async function fuzz({ name, extension }) {
  const path = join(folder, name);
  const end = Date.now() + (Number(options.minutes) * 60_000) / chosen.length;
  const first = Number(options.case ?? 0);
  const last = options.case !== undefined ? first + 1 : Number(options.cases ?? Infinity);
  const failures = [];
  let [refused, index] = [0, first];
  let worker = await start(name, path);
  for (; index < last && (options.cases !== undefined || Date.now() < end); index++) {
    const result = await runCase(worker, index);
    if (result.refused) refused += 1;
    if (result.failure === null) continue;
    mkdirSync(options.out, { recursive: true });
    const file = join(options.out, `${name}-${options.seed}-${index}.${extension}`);
    copyFileSync(`${path}.${extension}`, file);
    failures.push({ case: index, file, failure: result.failure });
    console.error(
      `${name}: ${result.failure.split('\n')[0]}\n  ${file}: --seed ${options.seed} --target ${name} --case ${index}`,
    );
    worker.child.kill('SIGKILL');
    worker = await start(name, path);
  }
  worker.child.kill('SIGKILL');
  const cases = index - first;
  console.error(
    `${name}: seed ${options.seed}, ${cases} cases, ${refused} refused, ${failures.length} failures`,
  );
  return { name, cases, refused, failures };
}

async function start(name, path) {
  const script = fileURLToPath(new URL('fuzz/worker.mjs', import.meta.url));
  const child = fork(script, [name, options.seed, path], {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text) => {
    complaint = (complaint + text).slice(-2000);
  });
  const worker = { child, base: 0, complaint: () => complaint };
  const { memory, failure } = await answer(worker, 300, 300);
  if (failure != null) throw new Error(`${name} cannot be fuzzed: ${failure}`);
  worker.base = memory;
  return worker;
}

async function runCase(worker, index) {
  worker.child.send(index);
  const result = await answer(worker, LONGEST_SECONDS, LONGEST_WAIT_SECONDS);
  const more = (result.memory ?? 0) - worker.base;
  if (result.failure === null && more > MOST_MEMORY) {
    return { ...result, failure: `it took ${Math.round(more / 2 ** 20)} MB of memory` };
  }
  return result;
}

/** The worker's next message, or why there is none. */
function answer({ child, complaint }, seconds, waitSeconds) {
  const started = { at: Date.now(), cpu: cpuSeconds(child.pid) };
  return new Promise((resolve) => {
    const settle = (result) => {
      clearInterval(timer);
      child.off('message', settle);
      child.off('exit', died);
      resolve(result);
    };
    const died = (code, signal) =>
      settle({ failure: `the process died: ${signal ?? code} ${complaint()}`, refused: false });
    const timer = setInterval(() => {
      // Of a busy machine the computing counts, not the time of day.
      const computed = cpuSeconds(child.pid) - started.cpu;
      const waited = (Date.now() - started.at) / 1000;
      if (computed <= seconds && waited <= waitSeconds) return;
      settle({ failure: `no answer after ${computed.toFixed(1)} s of computing`, refused: false });
    }, 200);
    child.on('message', settle);
    child.on('exit', died);
  });
}

function cpuSeconds(pid) {
  try {
    const status = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = status.slice(status.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  } catch {
    return 0;
  }
}
