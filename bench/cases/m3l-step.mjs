import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { optim, torch } from '../../dist/index.js';
import { createFramework, parameterGroups, Trainer } from '../../dist/learning/index.js';
import { createModel } from '../../dist/models/index.js';
import { withPeer } from '../peer.mjs';
import { alternate, median } from '../statistics.mjs';

/** Both sides take these, and every dropout and drop-path is 0, so that the losses must agree. */
const SETTINGS = {
  backbone: 'b0',
  numClasses: 13,
  size: 128,
  labelled: 2,
  unlabelled: 2,
  branches: [1, -1, 0, 1],
  minKeptFraction: 0.08,
  total: 1_000,
  encoderLr: 1e-4,
  decoderLr: 3e-4,
  weightDecay: 1e-4,
};
/** Steps before the clock runs; their losses are compared. */
const COMPARED = 3;
const LOSS_BOUND = 1e-4;

const modalities = [
  { name: 'rgb', kind: 'rgb' },
  { name: 'depth', kind: 'depth' },
];

/** The one batch that every step learns from. */
function makeBatch({ size, labelled, unlabelled, numClasses }) {
  const images = (count) => torch.randn([count, 3, size, size]);
  const labels = torch.randint(0, numClasses, [labelled, size, size], { dtype: 'int64' });
  labels.narrow(1, 0, 4).fill_(255);
  return {
    rgb: images(labelled),
    depth: images(labelled),
    labels,
    unlabelled_rgb: images(unlabelled),
    unlabelled_depth: images(unlabelled),
  };
}

/** Weights and batch as the peer's `load` reads them. */
function handOver(path, state, batch, settings) {
  const { backbone, numClasses, size, labelled, branches, total } = settings;
  const { encoderLr, decoderLr, weightDecay, minKeptFraction } = settings;
  const tensors = { ...batch };
  for (const [name, tensor] of Object.entries(state)) tensors[`init.${name}`] = tensor;
  torch.saveSafetensors(path, tensors, {
    backbone: `mit_${backbone}`,
    num_classes: String(numClasses),
    min_kept: String(Math.floor(minKeptFraction * size * size) * labelled),
    total_iterations: String(total),
    base_lr: JSON.stringify([encoderLr, encoderLr, decoderLr]),
    weight_decay: JSON.stringify([weightDecay, 0, weightDecay]),
    pseudo_loss_coeff: '1',
    ema_alpha: '0.99',
    masking_ratio: '1.0',
    branches: JSON.stringify(branches),
  });
}

/** Our step: asked for n of them, gives the median ms and each one's losses. */
function createStepper(batch, settings) {
  const { backbone, numClasses, branches, total, encoderLr, decoderLr, weightDecay } = settings;
  const model = () =>
    createModel({
      name: 'linear-fusion',
      backbone: `mit-${backbone}`,
      numClasses,
      modalities: modalities.length,
      maskToken: true,
      dropPath: 0,
      dropout: 0,
    });
  const [student, teacher] = [model(), model()];
  teacher.loadStateDict(student.stateDict());
  const framework = createFramework('m3l', {
    student,
    teacher,
    modalities,
    options: { alpha: 'untrained' },
    masks: () => branches,
  });
  const groups = parameterGroups(student, {
    encoderLr,
    decoderLr,
    weightDecay,
    alpha: 'untrained',
  });
  const optimizer = new optim.AdamW(groups);
  const trainer = new Trainer({
    framework,
    optimizer,
    schedule: new optim.PolySchedule({ total, power: 0.9 }),
    // The trainer disposes of what it is given.
    source: async () => torch.detached(() => trainingBatch(batch)),
    iterations: total,
  });
  return {
    state: student.stateDict(),
    async step(n) {
      const ms = [];
      let report;
      for (let i = 0; i < n; i++) {
        const start = performance.now();
        report = await trainer.step();
        ms.push(performance.now() - start);
      }
      return { ms: median(ms), loss: report.loss };
    },
    dispose() {
      optimizer.dispose();
      student.dispose();
      teacher.dispose();
    },
  };
}

function trainingBatch({ rgb, depth, labels, unlabelled_rgb, unlabelled_depth }) {
  const part = (images, truth) => ({
    names: Array.from({ length: images[0].shape[0] }, (_, index) => String(index)),
    modalities: images.map((image) => image.clone()),
    labels: truth ? truth.clone() : null,
    valid: null,
  });
  return {
    labelled: part([rgb, depth], labels),
    unlabelled: part([unlabelled_rgb, unlabelled_depth], null),
  };
}

async function measure(runs, settings) {
  const folder = mkdtempSync(join(tmpdir(), 'm3l-bench-'));
  torch.manualSeed(1);
  const batch = torch.detached(() => makeBatch(settings));
  const stepper = createStepper(batch, settings);
  try {
    const file = join(folder, 'step.safetensors');
    handOver(file, stepper.state, batch, settings);
    return await withPeer('m3l_eager.py', async (peer) => {
      await peer.ask('load', { path: file, threads: torch.getNumThreads() });
      let lossError = 0;
      for (let step = 0; step < COMPARED; step++) {
        const [ours, theirs] = [await stepper.step(1), await peer.ask('step', { n: 1 })];
        lossError = Math.max(lossError, Math.abs(ours.loss / theirs.loss - 1));
      }
      const result = await alternate(runs, {
        ours: async () => (await stepper.step(3)).ms,
        peer: async () => median((await peer.ask('step', { n: 3 })).ms),
      });
      return { ...result, lossError, lossBound: LOSS_BOUND };
    });
  } finally {
    stepper.dispose();
    torch.dispose(batch);
    rmSync(folder, { recursive: true, force: true });
  }
}

export default [
  {
    name: 'm3l-step',
    title: 'a whole M3L training step, Linear Fusion MiT-B0, 128², 13 classes, L = U = 2, fp32',
    unit: 'ms',
    runs: 7,
    target: { ratio: 1 / 4 },
    measure: ({ runs }) => measure(runs, SETTINGS),
  },
  {
    name: 'm3l-step-b2',
    title: 'the same, MiT-B2, 256², L = U = 1',
    unit: 'ms',
    runs: 5,
    target: { ratio: 1 / 3.5 },
    measure: ({ runs }) =>
      measure(runs, {
        ...SETTINGS,
        backbone: 'b2',
        size: 256,
        labelled: 1,
        unlabelled: 1,
        branches: [1, 0],
      }),
  },
];
