// scripts/gpu-check: builds the addon and the kernels against the PyTorch of a machine with a CUDA
// device, runs every test and the benchmarks in one call of at most nine minutes, and writes a table.
//
//     node scripts/gpu-check.mjs [--commit HASH] [--minutes 9]
//
// Needs on that machine: python3 with a CUDA torch (2.11 or later; its wheel has headers and libraries),
// nvcc, cmake, a C++20 compiler; and node_modules, which may be brought along with Node's binary. No
// network: neither npm nor pip is called. Writes gpu-check.md, gpu-check.json and the logs to $OUT, or
// to ./gpu-check. Exit code 0: all passed; 1: something failed or did not fit; 2: no CUDA device.
import { spawn, spawnSync } from 'node:child_process';
import {
  createWriteStream,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { cpus } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { findNvcc } from './compile-cuda.mjs';
import { markdown } from './gpu-check-report.mjs';
import { which } from './tools.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const started = performance.now();
const { values: given } = parseArgs({
  options: { commit: { type: 'string' }, minutes: { type: 'string', default: '9' } },
});
/** Kept back for the report. */
const SPARE_SECONDS = 10;
const total = Number(given.minutes) * 60 - SPARE_SECONDS;
const left = () => Math.max(0, total - (performance.now() - started) / 1000);

/** Budgets in seconds; what one does not use, the later ones have. */
const BUDGET = {
  library: 60,
  configure: 60,
  build: 240,
  kernelTests: 120,
  tests: 120,
  benchmark: 90,
};

const PROBE = `
import json, os, sys
try:
    import torch
except Exception as error:
    print(json.dumps({"error": f"python3 cannot import torch: {error}"})); sys.exit()
found = {"torch": torch.__version__, "cuda": torch.version.cuda, "folder": os.path.dirname(torch.__file__),
         "python": os.path.dirname(sys.executable), "devices": torch.cuda.device_count()}
if torch.cuda.is_available():
    found["gpu"] = torch.cuda.get_device_name(0)
    found["capability"] = "".join(map(str, torch.cuda.get_device_capability(0)))
print(json.dumps(found))
`;

/** The PyTorch here with its first device, or why this machine will not do. */
function findTorch() {
  const { stdout, error } = spawnSync('python3', ['-c', PROBE], { encoding: 'utf8' });
  if (error) return { error: `python3 does not start (${error.message})` };
  let found;
  try {
    found = JSON.parse(stdout.trim().split('\n').at(-1) ?? '');
  } catch {
    return { error: 'python3 did not answer' };
  }
  if (found.error) return found;
  const [major, minor] = found.torch.split('.').map(Number);
  if (major < 2 || (major === 2 && minor < 11)) {
    return { error: `torch ${found.torch} in ${found.folder}; 2.11 or later is needed` };
  }
  if (found.gpu === undefined) {
    return {
      error: `torch ${found.torch} (CUDA ${found.cuda ?? 'none'}) in ${found.folder} sees no device`,
    };
  }
  return found;
}

const machine = findTorch();
if (machine.error) {
  console.error(
    `gpu-check: no CUDA device: looked for a python3 whose torch (2.11 or later) has one: ${machine.error}`,
  );
  process.exit(2);
}

const out = resolve(process.env.OUT || join(root, 'gpu-check'));
mkdirSync(out, { recursive: true });
const build = join(root, 'build', 'gpu');
const release = join(build, 'Release');
const environment = {
  ...process.env,
  PATH: [process.env.PATH, machine.python].join(delimiter),
  LIBTORCH: machine.folder,
  M3L_ADDON_DIR: release,
  // The peers ask pip for what they miss, which would wait for a network.
  PIP_NO_INDEX: '1',
};

/** @type {{ name: string, ok: boolean, seconds: number, told: string }[]} */
const phases = [];
/** @type {string[]} */
const unfitted = [];
/** @type {import('./gpu-check-report.mjs').Report['tests']} */
const tests = [];

/**
 * Runs a program for at most `budget` seconds, its output into a log; the outcome becomes a phase.
 * @param {string} name @param {string} log @param {number} budget @param {string} program
 * @param {string[]} args
 * @param {(stdout: string) => boolean} [excuses] whether another exit code than 0 will do
 * @returns {Promise<{ ok: boolean, stdout: string }>}
 */
async function phase(name, log, budget, program, args, excuses = () => false) {
  const limit = Math.min(budget, left());
  if (limit < 5) {
    unfitted.push(name);
    return { ok: false, stdout: '' };
  }
  console.error(`gpu-check: ${name} (at most ${Math.round(limit)} s)`);
  const began = performance.now();
  const sink = createWriteStream(join(out, log), { flags: 'a' });
  const child = spawn(program, args, {
    cwd: root,
    env: environment,
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own, so that a limit ends its children too.
    detached: true,
  });
  let stdout = '';
  let tail = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      sink.write(text);
      tail = (tail + text).slice(-4000);
      if (stream === child.stdout) stdout += text;
    });
  }
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  }, limit * 1000);
  const end = await new Promise((done) => {
    child.on('error', (error) => done(error.message));
    child.on('close', (code, signal) => done(code === 0 ? null : `ended with ${signal ?? code}`));
  });
  clearTimeout(timer);
  sink.end();
  const seconds = (performance.now() - began) / 1000;
  if (late) unfitted.push(`${name}: stopped after ${Math.round(seconds)} s`);
  const failed = late || (end !== null && !excuses(stdout));
  const reason = failed ? (late ? 'stopped by its time limit' : end) : null;
  const told = reason === null ? '' : `${reason}\n${tail.trim().split('\n').slice(-12).join('\n')}`;
  phases.push({ name, ok: reason === null, seconds, told });
  if (reason !== null) console.error(`gpu-check: ${name} FAILED: ${told}`);
  return { ok: reason === null, stdout };
}

/** A phase that needed no program. @param {string} name @param {string} told */
function refuse(name, told) {
  phases.push({ name, ok: false, seconds: 0, told });
  console.error(`gpu-check: ${name} FAILED: ${told}`);
  return false;
}

async function buildAddon() {
  const modules = join(root, 'node_modules');
  const headers = [join(modules, 'node-api-headers', 'include'), join(modules, 'node-addon-api')];
  const absent = headers.find((folder) => !existsSync(folder));
  if (absent) return refuse('build', `${absent} is missing: bring node_modules along`);
  const found = findNvcc();
  if (found.nvcc === null) return refuse('build', found.reason);
  const cmake = which('cmake') ?? join(machine.python, 'cmake');
  const generator = which('ninja') ? ['-G', 'Ninja'] : [];
  // A cache of another nvcc or torch would be mixed with what is given now.
  rmSync(join(build, 'CMakeCache.txt'), { force: true });
  const configured = await phase('configure', 'build.log', BUDGET.configure, cmake, [
    ...['-S', root, '-B', build, ...generator, '-DM3L_CUDA=ON'],
    `-DLIBTORCH_DIR=${machine.folder}`,
    `-DCMAKE_JS_INC=${headers.join(';')}`,
    `-DCMAKE_LIBRARY_OUTPUT_DIRECTORY=${release}`,
    `-DCMAKE_CUDA_COMPILER=${found.nvcc}`,
    `-DCMAKE_CUDA_ARCHITECTURES=${machine.capability}-real`,
  ]);
  if (!configured.ok) return false;
  const jobs = ['--build', build, '--parallel', String(cpus().length)];
  return (await phase('build', 'build.log', BUDGET.build, cmake, jobs)).ok;
}

/** @param {string} name @param {number} budget @param {string[]} filters */
async function test(name, budget, filters) {
  const report = join(build, 'tests.json');
  rmSync(report, { force: true });
  await phase(name, 'tests.log', budget, process.execPath, [
    join(root, 'node_modules', 'vitest', 'vitest.mjs'),
    ...['run', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`],
    ...[`--maxWorkers=${Math.max(1, Math.min(6, cpus().length >> 1))}`, ...filters],
  ]);
  if (!existsSync(report)) return;
  const { numPassedTests, numFailedTests, numPendingTests, testResults } = JSON.parse(
    readFileSync(report, 'utf8'),
  );
  const failures = testResults.flatMap((file) =>
    file.assertionResults
      .filter(({ status }) => status === 'failed')
      .map(({ fullName, failureMessages }) => {
        const [first = ''] = failureMessages.join('\n').split('\n');
        return `${file.name.slice(root.length)}: ${fullName}: ${first}`;
      }),
  );
  tests.push({
    name,
    passed: numPassedTests,
    failed: numFailedTests,
    skipped: numPendingTests,
    failures,
  });
}

/** Every case in a process of its own, so that one that fails takes no other along. */
async function benchmark() {
  const main = join(root, 'bench', 'main.mjs');
  const listed = await phase('bench --list', 'bench.log', 30, process.execPath, [main, '--list']);
  const names = listed.stdout.split('\n').flatMap((line) => line.match(/^\S+/)?.[0] ?? []);
  const onDevice = (/** @type {string} */ name) => /cuda|gpu/.test(name);
  names.sort((a, b) => Number(onDevice(b)) - Number(onDevice(a)));
  const results = new Map();
  for (const name of names) {
    if (results.has(name)) continue;
    const args = [main, '--json', '--only', name];
    const { stdout } = await phase(
      `bench ${name}`,
      'bench.log',
      BUDGET.benchmark,
      process.execPath,
      args,
      // A missed target ends with code 1, and stands in the table.
      (text) => text.startsWith('{'),
    );
    for (const line of stdout.split('\n').filter((text) => text.startsWith('{'))) {
      const result = JSON.parse(line);
      results.set(result.name, result);
    }
  }
  return [...results.values()];
}

/** @param {string} program @param {string[]} args */
function answer(program, args) {
  const { status, stdout } = spawnSync(program, args, { cwd: root, encoding: 'utf8' });
  return status === 0 ? stdout.trim().split('\n')[0] : null;
}

function facts() {
  const nvcc = findNvcc();
  const changed = answer('git', ['status', '--porcelain']);
  const head = answer('git', ['rev-parse', '--short', 'HEAD']);
  return {
    date: new Date().toISOString().slice(0, 16).replace('T', ' '),
    gpu: machine.gpu,
    driver:
      answer('nvidia-smi', ['--query-gpu=driver_version', '--format=csv,noheader']) ?? 'unknown',
    torch: machine.torch,
    cuda: machine.cuda,
    nvcc: nvcc.nvcc === null ? 'none' : nvcc.version,
    node: process.version,
    commit:
      given.commit ?? (head === null ? 'unknown' : `${head}${changed ? ' with changes' : ''}`),
  };
}

for (const log of ['build.log', 'tests.log', 'bench.log']) rmSync(join(out, log), { force: true });
/** @type {any} */
const report = { machine: facts(), tests, benchmarks: [] };
const scripts = (/** @type {string} */ name) => join(root, 'scripts', name);
const library = await phase('library', 'build.log', BUDGET.library, process.execPath, [
  scripts('build-lib.mjs'),
]);
const built = await buildAddon();
if (built && (library.ok || existsSync(join(root, 'dist', 'index.js')))) {
  const kernels = ['test/kernels', 'test/torch'];
  await test('tests: kernels, torch', BUDGET.kernelTests, kernels);
  const others = kernels.flatMap((folder) => ['--exclude', `${folder}/**`]);
  await test('tests: the others', BUDGET.tests, others);
  report.benchmarks = await benchmark();
} else {
  unfitted.push('tests and benchmarks: there is nothing built to run them on');
}
const seconds = (performance.now() - started) / 1000;
Object.assign(report, { phases, unfitted, seconds });
writeFileSync(join(out, 'gpu-check.json'), `${JSON.stringify(report, null, 2)}\n`);
const text = markdown(report);
writeFileSync(join(out, 'gpu-check.md'), text);
console.log(text);
process.exit(phases.every(({ ok }) => ok) && unfitted.length === 0 ? 0 : 1);
