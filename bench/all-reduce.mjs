#!/usr/bin/env node
// node bench/all-reduce.mjs [RANKS …]: milliseconds of an all-reduce by bytes between processes of this
// machine (Gloo, loopback, one thread each), of a barrier and of what the check of shapes adds; and of the
// gradients of MiT-B0, alone and while the backward runs. Default: 2 4.
import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { torch } from '../dist/index.js';
import { Segformer } from '../dist/models/index.js';

const BYTES = [4, 4096, 65536, 2 ** 20, 4 * 2 ** 20, 16 * 2 ** 20, 64 * 2 ** 20];
const ROUNDS = 9;

/** @param {number} ranks */
async function launch(ranks) {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = /** @type {{ port: number }} */ (server.address());
  await new Promise((resolve) => server.close(resolve));
  const children = Array.from({ length: ranks }, (_, rank) =>
    spawn(process.execPath, [fileURLToPath(import.meta.url)], {
      stdio: ['ignore', 'inherit', 'inherit'],
      env: {
        ...process.env,
        ...{ OMP_NUM_THREADS: '1', MASTER_ADDR: '127.0.0.1', MASTER_PORT: String(port) },
        ...{ WORLD_SIZE: String(ranks), RANK: String(rank), M3L_BENCH_RANK: 'yes' },
      },
    }),
  );
  await Promise.all(
    children.map((child) => new Promise((resolve) => child.once('close', resolve))),
  );
}

/**
 * The least time of a call, as others may use the machine, that all ranks begin together.
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
  return Math.min(...times);
}

function measure() {
  const { distributed } = torch;
  const group = distributed.initProcessGroup({ timeoutSeconds: 300, checkCollectives: false });
  const say = (/** @type {string} */ line) => group.rank === 0 && console.log(line);
  say(`${group.worldSize} ranks`);
  say(`  barrier, also the check of shapes ${timed(group, () => group.barrier()).toFixed(3)} ms`);
  for (const bytes of BYTES) {
    const tensor = torch.ones([bytes / 4]);
    const ms = timed(group, () => group.allReduce(tensor));
    const rate = ((2 * (group.worldSize - 1)) / group.worldSize) * (bytes / 1e6 / ms);
    say(
      `  all-reduce of ${String(bytes).padStart(9)} bytes ${ms.toFixed(3).padStart(9)} ms, ${rate.toFixed(2)} GB/s on each link`,
    );
    tensor.dispose();
  }
  gradients(group, say);
}

/** @param {import('../dist/torch/distributed.js').ProcessGroup} group @param {(line: string) => void} say */
function gradients(group, say) {
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
  const alone = timed(group, step);
  for (const bucketBytes of [1e6, 4e6, 25e6]) {
    const buckets = new torch.distributed.GradientBuckets(parameters, group, { bucketBytes });
    const { bytes } = buckets;
    const flat = torch.ones([buckets.bytes / 4]);
    const reduced = timed(group, () => group.allReduce(flat));
    const waits = [];
    const together = timed(group, () => {
      step();
      buckets.finish();
      waits.push(buckets.waitedMs);
    });
    const waited = Math.min(...waits.slice(1));
    flat.dispose();
    buckets.dispose();
    say(
      `  MiT-B0, ${bytes} bytes in buckets of ${bucketBytes}: forward and backward ${alone.toFixed(1)} ms, ` +
        `all-reduce alone ${reduced.toFixed(1)} ms, together ${together.toFixed(1)} ms, of which waited ${waited.toFixed(1)} ms`,
    );
  }
}

if (process.env.M3L_BENCH_RANK) measure();
else
  for (const ranks of process.argv
    .slice(2)
    .map(Number)
    .concat(process.argv.length > 2 ? [] : [2, 4]))
    await launch(ranks);
