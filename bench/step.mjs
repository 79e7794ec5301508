// A training step that ours and the peer take from the same weights and batch.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { optim, torch } from '../dist/index.js';
import { createFramework, Trainer, trainableGroups } from '../dist/learning/index.js';
import { createModel } from '../dist/models/index.js';
import { median } from './statistics.mjs';

/** Both sides take these, and every dropout and drop-path is 0, so that the losses must agree. */
export const B0 = {
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
export const B2 = {
  ...B0,
  backbone: 'b2',
  size: 256,
  labelled: 1,
  unlabelled: 1,
  branches: [1, 0],
};

const RGB_D = ['rgb', 'depth'];

/** The one batch that every step learns from: M images [L or U, 3, H, W] each, labels [L, H, W]. */
export function makeBatch(settings) {
  const { size, labelled, unlabelled, numClasses, modalities = RGB_D, device = 'cpu' } = settings;
  const images = (count) => modalities.map(() => torch.randn([count, 3, size, size]));
  const labels = torch.randint(0, numClasses, [labelled, size, size], { dtype: 'int64' });
  labels.narrow(1, 0, 4).fill_(255);
  const made = { labelled: images(labelled), labels, unlabelled: images(unlabelled) };
  const moved = (tensor) => tensor.to({ device });
  return {
    labelled: made.labelled.map(moved),
    labels: moved(labels),
    unlabelled: made.unlabelled.map(moved),
  };
}

/** Runs `use` with our stepper and the file from which the peer's `load` has the same; both go after. */
export async function withStep(settings, use) {
  const folder = mkdtempSync(join(tmpdir(), 'm3l-bench-'));
  torch.manualSeed(1);
  const batch = torch.detached(() => makeBatch(settings));
  const stepper = createStepper(batch, settings);
  try {
    const path = join(folder, 'step.safetensors');
    handOver(path, stepper.state, batch, settings);
    return await use(stepper, path);
  } finally {
    stepper.dispose();
    torch.dispose(batch);
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Weights and batch as the peer's `load` reads them. */
function handOver(path, state, batch, settings) {
  const { backbone, numClasses, size, labelled, branches, total } = settings;
  const { encoderLr, decoderLr, weightDecay, minKeptFraction } = settings;
  const tensors = { labels: batch.labels };
  for (const [m, name] of RGB_D.entries()) {
    tensors[name] = batch.labelled[m];
    tensors[`unlabelled_${name}`] = batch.unlabelled[m];
  }
  for (const [name, tensor] of Object.entries(state)) tensors[`init.${name}`] = tensor;
  for (const [name, tensor] of Object.entries(tensors))
    tensors[name] = tensor.to({ device: 'cpu' });
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

/** Our step: asked for n of them, gives the median ms and the last one's loss. */
export function createStepper(batch, settings) {
  const { backbone, numClasses, branches, total, encoderLr, decoderLr, weightDecay } = settings;
  const { modalities = RGB_D, device = 'cpu', precision = 'float32', execution } = settings;
  const model = () => {
    const made = createModel({
      name: 'linear-fusion',
      backbone: `mit-${backbone}`,
      numClasses,
      modalities: modalities.length,
      maskToken: true,
      ensemble: 'all',
      dropPath: 0,
      dropout: 0,
    }).to({ device });
    made.precision = precision;
    return made;
  };
  const framework = createFramework('m3l', {
    networks: model,
    modalities: modalities.map((name) => ({ name, kind: name === 'rgb' ? 'rgb' : 'depth' })),
    options: { fidelity: 'paper' },
    masks: () => branches,
  });
  const { student } = framework.networks;
  const groups = trainableGroups(framework, { encoderLr, decoderLr, weightDecay });
  const optimizer = new optim.AdamW(groups);
  const trainer = new Trainer({
    framework,
    optimizer,
    schedule: new optim.PolySchedule({ total, power: 0.9 }),
    // The trainer disposes of what it is given.
    source: async () => torch.detached(() => trainingBatch(batch)),
    iterations: total,
    device,
    execution,
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
    /** What follows the backward, n times on the last step's gradients: AdamW and the EMA. */
    optimise(n) {
      const ms = [];
      for (let i = 0; i < n; i++) {
        const start = performance.now();
        framework.teacher.step(optimizer, trainer.iteration);
        ms.push(performance.now() - start);
      }
      return { ms: median(ms) };
    },
    dispose() {
      trainer.dispose();
      optimizer.dispose();
      for (const network of Object.values(framework.networks)) network.dispose();
    },
  };
}

function trainingBatch({ labelled, labels, unlabelled }) {
  const part = (images, truth) => ({
    names: Array.from({ length: images[0].shape[0] }, (_, index) => String(index)),
    modalities: images.map((image) => image.clone()),
    labels: truth ? truth.clone() : null,
    valid: null,
  });
  return {
    labelled: part(labelled, labels),
    unlabelled: part(unlabelled, null),
  };
}
