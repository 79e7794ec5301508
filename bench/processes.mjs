/**
 * Two processes of one thread against one of two, on two cores: Linear Fusion B0 at 128², M3L, 4 labelled and
 * 4 unlabelled images a step. `node bench/processes.mjs [rounds [steps]]`; alternating, medians.
 */
import { loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { inRanks } from './ranks.mjs';
import { median } from './statistics.mjs';

const [ROUNDS = 3, STEPS = 6] = process.argv.slice(2).map(Number);
if (![ROUNDS, STEPS - 1].every((count) => Number.isInteger(count) && count > 0)) {
  console.error('processes: expected [rounds [steps]], a whole number above 0 and one above 1');
  process.exit(2);
}

if (process.env.RANK !== undefined) await train();
else await compare(ROUNDS);

async function compare(rounds) {
  const load = loadavg()[0].toFixed(1);
  const file = fileURLToPath(import.meta.url);
  const args = [ROUNDS, STEPS];
  const found = { one: [], two: [] };
  for (let round = 0; round < rounds; round++) {
    found.one.push(await inRanks(file, { count: 1, threads: 2, args }));
    found.two.push(await inRanks(file, { count: 2, threads: 1, args }));
  }
  const of = (key, name) => median(found[key].map((each) => each[name]));
  const [one, two] = [of('one', 'seconds'), of('two', 'seconds')];
  console.log(`load before: ${load} on this machine`);
  console.log(`1 process × 2 threads: ${one.toFixed(3)} s a step, ${of('one', 'peakMiB')} MiB`);
  console.log(
    `2 processes × 1 thread: ${two.toFixed(3)} s a step, ${of('two', 'peakMiB')} MiB each`,
  );
  console.log(`ratio of the times: ${(two / one).toFixed(2)}`);
  console.log(`waiting for each other: ${(100 * of('two', 'waiting')).toFixed(1)} % of a step`);
  console.log(`gradients sent: ${(of('two', 'bytes') / 1e6).toFixed(1)} MB a step`);
}

async function train() {
  const { torch, optim } = await import('../dist/index.js');
  const { createFramework, peersOf, Trainer } = await import('../dist/learning/index.js');
  const { createModel } = await import('../dist/models/index.js');
  const worldSize = Number(process.env.WORLD_SIZE);
  const group = worldSize > 1 ? torch.distributed.initProcessGroup() : null;
  let waited = 0;
  const timed = (of, name) => {
    const call = of[name];
    of[name] = function (...args) {
      const start = performance.now();
      try {
        return call.apply(this, args);
      } finally {
        waited += performance.now() - start;
      }
    };
  };
  let bytes = 0;
  if (group !== null) {
    for (const name of ['allReduce', 'allGather']) timed(group, name);
    timed(torch.distributed.GradientBuckets.prototype, 'finish');
  }
  const peers = group === null ? {} : { peers: peersOf(group) };
  torch.manualSeed(1);
  const framework = createFramework('m3l', {
    networks: () => createModel({ name: 'linear-fusion', backbone: 'mit-b0', numClasses: 13 }),
    modalities: [
      { name: 'rgb', kind: 'rgb' },
      { name: 'depth', kind: 'depth' },
    ],
    ...peers,
  });
  const params = framework.networks.student.parameters();
  bytes = params.reduce((sum, { nbytes }) => sum + nbytes, 0);
  const batch = (hasLabels) =>
    torch.detached(() => {
      const count = 4 / worldSize;
      const labels = () => torch.randint(0, 13, [count, 128, 128], { dtype: 'int64' });
      return {
        names: Array.from({ length: count }, (_, i) => `${i}`),
        modalities: [0, 1].map(() => torch.randn([count, 3, 128, 128])),
        labels: hasLabels ? labels() : null,
        valid: null,
      };
    });
  const trainer = new Trainer({
    framework,
    optimizer: new optim.AdamW([{ params, lr: 1e-4 }]),
    iterations: STEPS,
    source: async () => ({ labelled: batch(true), unlabelled: batch(false) }),
    ...peers,
  });
  const seconds = [];
  const waits = [];
  for (let step = 0; step < STEPS; step++) {
    waited = 0;
    const report = await trainer.step();
    seconds.push(report.seconds);
    waits.push(waited / 1000 / report.seconds);
  }
  const middle = (values) => median(values.slice(1));
  const peakMiB = Math.round(process.resourceUsage().maxRSS / 1024);
  console.log(JSON.stringify({ seconds: middle(seconds), waiting: middle(waits), peakMiB, bytes }));
}
