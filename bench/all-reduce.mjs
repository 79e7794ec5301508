#!/usr/bin/env node
// node bench/all-reduce.mjs [RANKS …] [--json] [--write]: milliseconds of an all-reduce by bytes between
// processes of this machine (Gloo, loopback, one thread each), of a barrier, and of the gradients of MiT-B0, alone
// and while the backward runs. Default: 2 4. --write writes docs/scaling.md as well.
import { cpus, loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { torch } from '../dist/index.js';
import { Segformer } from '../dist/models/index.js';
import { writeBetween } from '../scripts/between-markers.mjs';
import { markdownTable } from '../scripts/markdown.mjs';
import { inRanks } from './ranks.mjs';
import { median } from './statistics.mjs';

const SIZES = [4, 4096, 65536, 2 ** 20, 4 * 2 ** 20, 16 * 2 ** 20, 64 * 2 ** 20];
const BUCKETS = [1e6, 4e6, 25e6];
const ROUNDS = 9;

/**
 * @typedef {{ bytes: number, ms: number }} Reduced
 * @typedef {{ bucketBytes: number, ms: number, waitedMs: number }} Bucketed
 * @typedef {{ ranks: number, barrierMs: number, allReduce: Reduced[], gradients: { bytes: number,
 *   stepMs: number, reduceMs: number, buckets: Bucketed[] } }} Measured
 */

/**
 * The median time of a call that all ranks begin together.
 * @param {import('../dist/torch/distributed.js').ProcessGroup} group @param {() => void} call
 */
function timed(group, call) {
  const times = [];
  for (let round = 0; round <= ROUNDS; round++) {
    group.barrier();
    const before = performance.now();
    call();
    if (round > 0) times.push(performance.now() - before);
  }
  return median(times);
}

/** @returns {Measured} */
function measure() {
  const { distributed } = torch;
  const group = distributed.initProcessGroup({ timeoutSeconds: 300, checkCollectives: false });
  const allReduce = SIZES.map((bytes) => {
    const tensor = torch.ones([bytes / 4]);
    const ms = timed(group, () => group.allReduce(tensor));
    tensor.dispose();
    return { bytes, ms };
  });
  const barrierMs = timed(group, () => group.barrier());
  return { ranks: group.worldSize, barrierMs, allReduce, gradients: gradients(group) };
}

/** @param {import('../dist/torch/distributed.js').ProcessGroup} group */
function gradients(group) {
  torch.manualSeed(0);
  const model = new Segformer({ backbone: 'mit-b0', modalities: 1, numClasses: 13 });
  const parameters = [...model.parameters()];
  const input = torch.randn([2, 3, 128, 128]);
  const step = () =>
    torch.scope(() => {
      for (const parameter of parameters) parameter.grad = null;
      const [logits] = model.forwardHeads([input], [0]);
      logits.square().mean().backward();
    });
  const stepMs = timed(group, step);
  const bytes = parameters.reduce((sum, { nbytes }) => sum + nbytes, 0);
  const flat = torch.ones([bytes / 4]);
  const reduceMs = timed(group, () => group.allReduce(flat));
  flat.dispose();
  const buckets = BUCKETS.map((bucketBytes) => {
    const made = new torch.distributed.GradientBuckets(parameters, group, { bucketBytes });
    /** @type {number[]} */
    const waits = [];
    const ms = timed(group, () => {
      step();
      made.finish();
      waits.push(made.waitedMs);
    });
    made.dispose();
    return { bucketBytes, ms, waitedMs: median(waits.slice(1)) };
  });
  return { bytes, stepMs, reduceMs, buckets };
}

/** @param {number} bytes */
const size = (bytes) =>
  bytes < 1024
    ? `${bytes} bytes`
    : bytes < 2 ** 20
      ? `${bytes / 1024} KiB`
      : `${bytes / 2 ** 20} MiB`;

/** @param {Measured[]} found @param {string} load */
function report(found, load) {
  const ms = (/** @type {number} */ value) => value.toPrecision(3);
  const rate = (/** @type {number} */ ranks, /** @type {Reduced} */ { bytes, ms: taken }) =>
    bytes < 4096 ? '–' : (((2 * (ranks - 1)) / ranks) * (bytes / 1e6 / taken)).toFixed(2);
  const [{ model = 'processor' } = {}] = cpus();
  return [
    `${cpus().length} processors (${model.trim()}), load ${load} before; medians of ${ROUNDS}. Gloo over loopback, a thread a ` +
      'rank; GB/s is what each link carries.',
    markdownTable(
      ['all-reduce of', ...found.flatMap(({ ranks }) => [`${ranks} ranks, ms`, 'GB/s'])],
      [
        ...SIZES.map((bytes, i) => [
          size(bytes),
          ...found.flatMap(({ ranks, allReduce }) => {
            const one = /** @type {Reduced} */ (allReduce[i]);
            return [ms(one.ms), rate(ranks, one)];
          }),
        ]),
        ['barrier', ...found.flatMap(({ barrierMs }) => [ms(barrierMs), '–'])],
      ],
    ),
    `The gradients of a MiT-B0 Segformer (${((found[0]?.gradients.bytes ?? 0) / 1e6).toFixed(1)} MB, 2 × 128² a rank), in buckets that ` +
      'are reduced while the backward still runs:',
    markdownTable(
      ['', ...found.map(({ ranks }) => `${ranks} ranks, ms`)],
      [
        ['forward and backward alone', ...found.map(({ gradients: g }) => ms(g.stepMs))],
        ['all-reduce alone', ...found.map(({ gradients: g }) => ms(g.reduceMs))],
        ...BUCKETS.map((bytes, i) => [
          `together, buckets of ${bytes / 1e6} MB (waited)`,
          ...found.map(({ gradients: g }) => {
            const { ms: taken, waitedMs } = /** @type {Bucketed} */ (g.buckets[i]);
            return `${ms(taken)} (${ms(waitedMs)})`;
          }),
        ]),
      ],
    ),
  ].join('\n\n');
}

async function main() {
  const words = process.argv.slice(2);
  const counts = words.filter((word) => !word.startsWith('--')).map(Number);
  const unknown = words.find(
    (word) => word.startsWith('--') && !['--json', '--write'].includes(word),
  );
  if (unknown !== undefined || !counts.every((count) => Number.isInteger(count) && count > 1)) {
    console.error(
      'all-reduce: expected [RANKS …] [--json] [--write], each RANKS a whole number above 1',
    );
    process.exit(2);
  }
  const load = loadavg()[0]?.toFixed(1) ?? '–';
  const found = [];
  for (const count of counts.length > 0 ? counts : [2, 4]) {
    console.error(`${count} ranks`);
    found.push(await inRanks(fileURLToPath(import.meta.url), { count, threads: 1 }));
  }
  console.log(words.includes('--json') ? JSON.stringify(found, null, 2) : report(found, load));
  if (words.includes('--write')) {
    writeBetween(
      'scaling.md',
      'all-reduce',
      'node bench/all-reduce.mjs --write',
      report(found, load),
    );
  }
}

if (process.env.RANK === undefined) await main();
else {
  const measured = measure();
  if (process.env.RANK === '0') console.log(JSON.stringify(measured));
}
