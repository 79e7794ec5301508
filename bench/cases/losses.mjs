import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { torch } from '../../dist/index.js';
import { pseudoLabels, semiSupervisedLosses } from '../../dist/learning/index.js';
import { withPeer } from '../peer.mjs';
import { alternate, median } from '../statistics.mjs';

/** One labelled image, which the student sees twice, and one unlabelled; two modalities. */
const SIZE = 540;
const LABELLED = 2;
const BATCH = 3;
const HEADS = 3;
const OHEM = { threshold: 0.7, minKept: Math.floor(0.08 * SIZE * SIZE) };
const LOSS_BOUND = 1e-4;

/** Low-resolution logits as after some training (the true class is mostly ahead), and labels. */
function makeInputs(classes) {
  const side = SIZE / 4;
  const coarse = torch.randint(0, classes, [BATCH, side, side], { dtype: 'int64' });
  const ahead = torch.oneHot(coarse, classes).permute([0, 3, 1, 2]).to('float32').mul(4);
  const logits = () => torch.randn([BATCH, classes, side, side]).add(ahead);
  const labels = torch
    .upsampleNearest2d(coarse.unsqueeze(1).to('float32'), [SIZE, SIZE])
    .squeeze(1)
    .to('int64')
    .narrow(0, 0, LABELLED)
    .contiguous();
  labels.narrow(1, 0, 8).fill_(255);
  const inputs = { labels };
  for (let head = 0; head < HEADS; head++) {
    inputs[`student.${head}`] = logits();
    inputs[`teacher.${head}`] = logits();
  }
  return inputs;
}

/** The step between the two networks' logits and the student's gradients; gives the loss. */
function learn(inputs) {
  return torch.scope(() => {
    const heads = Array.from({ length: HEADS }, (_, head) =>
      inputs[`student.${head}`].detach().requiresGrad_(),
    );
    const ensemble = inputs[`teacher.${HEADS - 1}`];
    const everywhere = { pseudoOnPadding: true, confidenceThreshold: null };
    const labels = torch.noGrad(() => pseudoLabels(ensemble, null, everywhere, [SIZE, SIZE]));
    const { sup, pseudo } = semiSupervisedLosses(heads, inputs.labels, labels, OHEM);
    const total = sup.add(pseudo);
    total.backward();
    return total.item();
  });
}

async function measure(runs, classes) {
  const folder = mkdtempSync(join(tmpdir(), 'm3l-bench-'));
  torch.manualSeed(1);
  const inputs = torch.detached(() => torch.scope(() => makeInputs(classes)));
  try {
    const path = join(folder, 'losses.safetensors');
    torch.saveSafetensors(path, inputs);
    return await withPeer('m3l_eager.py', async (peer) => {
      const threads = torch.getNumThreads();
      await peer.ask('load_losses', { path, heads: HEADS, min_kept: OHEM.minKept, threads });
      const theirs = await peer.ask('losses', { n: 1 });
      const lossError = Math.abs(learn(inputs) / theirs.loss - 1);
      const result = await alternate(runs, {
        ours: () => {
          const start = performance.now();
          learn(inputs);
          return performance.now() - start;
        },
        peer: async () => median((await peer.ask('losses', { n: 1 })).ms),
      });
      return { ...result, lossError, lossBound: LOSS_BOUND };
    });
  } finally {
    torch.dispose(inputs);
    rmSync(folder, { recursive: true, force: true });
  }
}

const title = (classes) =>
  `the losses of a step with their gradients, 540², ${classes} classes, L = U = 1, from low-resolution logits`;

export default [
  {
    name: 'losses-13',
    title: title(13),
    unit: 'ms',
    runs: 5,
    target: { ratio: 1 / 20 },
    measure: ({ runs }) => measure(runs, 13),
  },
  {
    name: 'losses-37',
    title: title(37),
    unit: 'ms',
    runs: 5,
    target: { ratio: 1 / 15 },
    measure: ({ runs }) => measure(runs, 37),
  },
];
