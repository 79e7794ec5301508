/**
 * One process of a step that several share, for shared-batches.test.ts: `node shared-step.mjs CASE OUT`, the
 * place among them by RANK and WORLD_SIZE. The first writes losses and sums of the state to OUT, and
 * the gradients of its first step beside it.
 */
import { writeFileSync } from 'node:fs';
import { torch } from 'm3l';
import { createFramework, peersOf, Trainer } from 'm3l/learning';
import { createModel } from 'm3l/models';
import { AdamW, SGD } from 'm3l/optim';

const SIZE = 32;
const { framework: name, model = {}, options = {}, steps = 1, sgd } = JSON.parse(process.argv[2]);
const worldSize = Number(process.env.WORLD_SIZE ?? 1);
const group = worldSize > 1 ? torch.distributed.initProcessGroup({ timeoutSeconds: 60 }) : null;
const peers = group === null ? undefined : peersOf(group);
const rank = group?.rank ?? 0;
torch.setNumThreads(1);

/** This process's part of a batch of `count` that all draw alike. */
function part(seed, count, hasLabels) {
  const generator = new torch.Generator().manualSeed(seed);
  const own = count / worldSize;
  const mine = (tensor) => tensor.narrow(0, rank * own, own).clone();
  // Few void pixels with one process, many with the other: means over each alone would be others.
  const labels = torch.randint(0, 3, [count, SIZE, SIZE], { dtype: 'int64', generator });
  for (let i = 0; i < count; i++)
    labels
      .narrow(0, i, 1)
      .narrow(1, 0, 4 + 5 * i)
      .fill_(255);
  const valid = torch.ones([count, SIZE, SIZE], { dtype: 'bool' });
  for (let i = 0; i < count; i++)
    valid
      .narrow(0, i, 1)
      .narrow(2, 0, 3 * i + 1)
      .fill_(false);
  return {
    names: Array.from({ length: own }, (_, i) => `${seed}-${rank * own + i}`),
    modalities: [
      mine(torch.randn([count, 3, SIZE, SIZE], { generator })),
      mine(torch.rand([count, 3, SIZE, SIZE], { generator })),
    ],
    labels: hasLabels ? mine(labels) : null,
    valid: mine(valid),
  };
}

torch.manualSeed(5);
const framework = createFramework(name, {
  networks: () => {
    torch.manualSeed(5);
    return createModel({
      name: 'linear-fusion',
      backbone: 'mit-b0',
      numClasses: 3,
      dropout: 0,
      dropPath: 0,
      ...model,
    });
  },
  modalities: [
    { name: 'rgb', kind: 'rgb' },
    { name: 'depth', kind: 'depth' },
  ],
  options,
  seed: 3,
  iterations: 40,
  ...(peers ? { peers } : {}),
});
const trained = framework.trainable.flatMap((each) => framework.networks[each].parameters());
// Adam makes a whole step of a gradient that is rounding alone.
const optimizer = sgd
  ? new SGD([{ params: trained, lr: sgd }])
  : new AdamW([{ params: trained, lr: 1e-4 }]);
const trainer = new Trainer({
  framework,
  optimizer,
  iterations: 40,
  seed: 3,
  reportGradientNorm: true,
  source: async (iteration) => ({
    labelled: torch.detached(() => part(10 + iteration, 4, true)),
    unlabelled: torch.detached(() => part(20 + iteration, 6, false)),
  }),
  ...(peers ? { peers } : {}),
});

const reports = [];
let gradients = {};
let values = [];
for (let t = 0; t < steps; t++) {
  const { loss, parts, health, gradientNorm } = await trainer.step();
  reports.push({ loss, parts, health, gradientNorm });
  if (t > 0) continue;
  const network = framework.networks[framework.trainable[0]];
  const named = network.namedParameters();
  gradients = Object.fromEntries(named.map(([key, { grad }]) => [key, grad !== null]));
  values = named.flatMap(([, { grad }]) => (grad ? [grad.flatten().toTypedArray()] : []));
}
const { tensors } = trainer.state();
const sums = Object.fromEntries(
  Object.entries(tensors).map(([key, tensor]) => [key, tensor.to('float64').abs().sum().item()]),
);
const running = Object.entries(tensors)
  .filter(([key]) => key.includes('.running_'))
  .map(([key, tensor]) => [key, [...tensor.toTypedArray()]]);
// The teacher of every process is the same, bit for bit.
const all = group?.allGatherObject(sums).map((each) => JSON.stringify(each)) ?? [];
const same = all.every((each) => each === all[0]);
if (rank === 0) {
  writeFileSync(process.argv[3], JSON.stringify({ reports, gradients, sums, running, same }));
  writeFileSync(`${process.argv[3]}.gradients`, Buffer.concat(values.map(bytesOf)));
}
trainer.dispose();
torch.distributed.destroyProcessGroup();

function bytesOf({ buffer, byteOffset, byteLength }) {
  return Buffer.from(buffer, byteOffset, byteLength);
}
