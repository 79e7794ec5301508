// Calls the public functions of the package with whatever comes: each call works or throws an M3lError;
// anything else, and a death of the process, is a fault. Prints what it found as JSON.
//   node scripts/fuzz-calls.mjs [--calls 10000] [--seed 1] [--of tensors|models] [--only torch.scope]
import { mkdtempSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Random } from './fuzz/mutate.mjs';

/** What ends a process of plain PyTorch too; docs/operators.md says so. */
const DEADLY = /^(quantizedLstmCell|mkldnnRnnLayer|embedding|eigvals|batchNormBackward|newZeros)/;
/** For the process, once: it would be another's. */
const LASTING = /^setInteropThreads$/;

const { values: options } = parseArgs({
  options: {
    calls: { type: 'string', default: '10000' },
    seed: { type: 'string', default: '1' },
    of: { type: 'string' },
    only: { type: 'string' },
  },
});
const { torch, nn, optim } = await import('../dist/index.js');
/** The entry points of tensors, and that of vitest's matchers, which runs in vitest alone. */
const OTHERS = ['.', './torch', './nn', './optim', './vitest', './package.json'];
const { exports } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
/** Those above the tensors. */
const above = Object.fromEntries(
  await Promise.all(
    Object.entries(exports)
      .filter(([name]) => !OTHERS.includes(name))
      .map(async ([name, file]) => [
        name.slice(2),
        await import(new URL(`../${file}`, import.meta.url)),
      ]),
  ),
);
const random = new Random(Number(options.seed));

const folder = mkdtempSync(join(tmpdir(), 'm3l-calls-'));
process.chdir(folder);
process.on('exit', () => {
  process.chdir('/');
  rmSync(folder, { recursive: true, force: true });
});
process.on('warning', () => {});
process.on('unhandledRejection', () => {});

function callables() {
  const found = [];
  const classes = Object.entries(above).flatMap(([space, members]) =>
    Object.entries(members).flatMap(([name, value]) => staticsOf(`${space}.${name}`, value)),
  );
  if (options.of !== 'tensors') found.push(...classes);
  const { functional, init, utils } = nn;
  const { cuda, linalg, fft, special, masked, sparse } = torch;
  const { windows } = torch.signal;
  const ofTorch = { torch, cuda, linalg, fft, special, masked, sparse, windows };
  const { rnn, parametrize, parametrizations, prune } = utils;
  const ofUtils = { utils, rnn, parametrize, parametrizations, prune };
  const ofTensors = { ...ofTorch, nn, functional, init, ...ofUtils, optim };
  const spaces = {
    ...(options.of === 'models' ? {} : ofTensors),
    ...(options.of === 'tensors' ? {} : above),
  };
  for (const [space, members] of Object.entries(spaces)) {
    for (const [name, value] of Object.entries(members)) {
      // What is thrown is made by the package alone.
      if (typeof value !== 'function' || value.prototype instanceof Error) continue;
      found.push({ name: `${space}.${name}`, key: name, value });
    }
  }
  if (options.of === 'models') return found;
  for (const name of Object.getOwnPropertyNames(torch.Tensor.prototype)) {
    const { value } = Object.getOwnPropertyDescriptor(torch.Tensor.prototype, name);
    if (typeof value !== 'function' || name === 'constructor') continue;
    found.push({ name: `Tensor.${name}`, key: name, value, method: true });
  }
  return found.filter(({ key }) => !DEADLY.test(key) && !LASTING.test(key));
}

/** The static functions of a class. */
function staticsOf(name, value) {
  if (typeof value !== 'function') return [];
  return Object.getOwnPropertyNames(value).flatMap((key) => {
    const { value: made } = Object.getOwnPropertyDescriptor(value, key);
    if (typeof made !== 'function' || made === Function.prototype[key]) return [];
    return [{ name: `${name}.${key}`, key, value: made, self: value }];
  });
}

function anything() {
  const plain = [undefined, null, 0, 1, -1, 2.5, Number.NaN, Infinity, -0, 2 ** 53, 2n ** 70n];
  const texts = ['', 'abc', 'float32', 'cpu', '\0', Symbol('s'), true, false];
  const lists = [[], [1], [1, 2, 3], [[1], [2]], ['a'], [null], new Proxy([1], {})];
  const objects = [
    {},
    { dtype: 'float32' },
    { dim: 1 },
    { lr: 1 },
    { __proto__: null },
    new Date(0),
  ];
  const others = [() => 1, class {}, new Map(), new Set([1]), /x/, Promise.resolve(1)];
  const memory = [new Float32Array(3), new ArrayBuffer(4), new BigInt64Array(1)];
  const tensors = [torch.ones([2]), torch.ones([2, 3]), torch.zeros([0]), torch.tensor([1n, 2n])];
  return [
    ...[...plain, ...texts, ...lists, ...objects, ...others, ...memory, ...tensors],
    [tensors[0]],
    tensors[0].to('bool'),
    new nn.Linear(2, 2),
  ];
}

const functions = callables().filter(({ name }) => [undefined, name].includes(options.only));
const faults = new Map();
const counts = { calls: 0, worked: 0, refused: 0 };
for (; counts.calls < Number(options.calls); counts.calls++) {
  const { name, value, method, self: owner } = random.pick(functions);
  // Where the process dies, its last line says of what.
  if (counts.calls % 1000 === 0) writeSync(2, `${counts.calls}\n`);
  const fault = (error) => {
    if (error instanceof torch.M3lError) counts.refused += 1;
    else faults.set(`${name}: ${error?.message}`.slice(0, 160), error?.stack ?? '');
  };
  const pool = torch.detached(anything);
  const args = Array.from({ length: random.below(5) }, () => random.pick(pool));
  try {
    const isClass = /^class\b/.test(Function.prototype.toString.call(value));
    const self = method ? pool.at(-2) : (owner ?? torch);
    const result = torch.scope(() => ({
      made: isClass ? new value(...args) : value.apply(self, args),
    }));
    if (typeof result.made?.then === 'function') result.made.then(() => {}, fault);
    counts.worked += 1;
  } catch (error) {
    fault(error);
  }
}
await new Promise((resolve) => setTimeout(resolve, 50));
console.log(JSON.stringify({ ...counts, functions: functions.length, faults: [...faults.keys()] }));
process.exit(faults.size === 0 ? 0 : 1);
