// A supervised training step of any model that ours and the peer take from the same weights and images.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { optim, torch } from '../dist/index.js';
import { createFramework, Trainer, trainableGroups } from '../dist/learning/index.js';
import { createModel } from '../dist/models/index.js';
import { median } from './statistics.mjs';

const RATE = 1e-4;
const TOTAL = 1_000_000_000;
const CLASSES = 13;
const SIZE = 128;
const SAMPLES = 2;

const mit = { backbone: 'mit-b0', modalities: ['rgb', 'depth'], frozen: true };
const resnet = { ...mit, backbone: 'resnet18', frozen: false };
/** Each model on its smallest encoder; transformers' BatchNorm is frozen, as the paper's. */
export const MODELS = {
  'linear-fusion': mit,
  'token-fusion': mit,
  'cross-modal-rectification': mit,
  'unified-representation': mit,
  'channel-exchange': resnet,
  refinenet: { ...resnet, modalities: ['rgb'] },
  deeplabv3plus: { ...resnet, modalities: ['rgb'] },
};

/** Dropout and drop-path are 0, so that both sides have the same loss. */
const withoutDropout = {
  'linear-fusion': { dropPath: 0, dropout: 0, maskToken: false },
  'token-fusion': { dropPath: 0, dropout: 0, maskToken: false },
  'cross-modal-rectification': { dropPath: 0, dropout: 0, maskToken: false },
  'unified-representation': { dropPath: 0, dropout: 0 },
  'channel-exchange': { dropout: 0 },
  refinenet: { dropout: 0 },
  deeplabv3plus: {},
};

const hasEnsemble = (name) =>
  !['unified-representation', 'refinenet', 'deeplabv3plus'].includes(name);

/** Our step of a model: `step(n)` gives the median ms and the last loss; `handOver` writes its start. */
export function createModelStep(name) {
  const { backbone, modalities, frozen } = MODELS[name];
  torch.manualSeed(1);
  const images = torch.detached(() => modalities.map(() => torch.randn([SAMPLES, 3, SIZE, SIZE])));
  const labels = torch.detached(() =>
    torch.randint(0, CLASSES, [SAMPLES, SIZE, SIZE], { dtype: 'int64' }),
  );
  const framework = createFramework('supervised', {
    networks: () =>
      createModel({
        name,
        backbone,
        numClasses: CLASSES,
        modalities: modalities.length,
        freezeBatchNorm: frozen,
        ...(hasEnsemble(name) && { ensemble: 'all' }),
        ...withoutDropout[name],
      }),
    modalities: modalities.map((each) => ({ name: each, kind: each })),
    // In the paper's Linear Fusion it is in no group; the peer's is in one, and has no gradient.
    options: {
      alpha: name === 'channel-exchange' ? 'trained' : 'untrained',
      freezeBatchNorm: frozen,
    },
  });
  const { student } = framework.networks;
  const rates = { encoderLr: RATE, decoderLr: RATE, weightDecay: 0 };
  const optimizer = new optim.AdamW(trainableGroups(framework, rates));
  const trainer = new Trainer({
    framework,
    optimizer,
    schedule: new optim.PolySchedule({ total: TOTAL, power: 0.9 }),
    source: async () =>
      torch.detached(() => ({
        labelled: {
          names: ['0', '1'],
          modalities: images.map((image) => image.clone()),
          labels: labels.clone(),
          valid: null,
        },
        unlabelled: null,
      })),
    iterations: TOTAL,
    device: 'cpu',
  });
  return {
    handOver(path) {
      const tensors = { labels };
      for (const [m, each] of modalities.entries()) tensors[each] = images[m];
      for (const [entry, tensor] of Object.entries(student.stateDict())) {
        if (entry !== 'head_shares') tensors[`init.${entry}`] = tensor;
      }
      torch.saveSafetensors(path, tensors, {
        model: name,
        backbone: backbone.replace('-', '_'),
        num_classes: String(CLASSES),
        modalities: JSON.stringify(modalities),
        frozen: String(frozen),
        min_kept: String(Math.floor(0.08 * SIZE * SIZE) * SAMPLES),
        lr: String(RATE),
      });
    },
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
      trainer.dispose();
      optimizer.dispose();
      student.dispose();
      torch.dispose({ images, labels });
    },
  };
}

/** Runs `use` with our step and the file from which the peer has the same; both go after. */
export async function withModelStep(name, use) {
  const folder = mkdtempSync(join(tmpdir(), 'm3l-bench-'));
  const stepper = createModelStep(name);
  try {
    const path = join(folder, 'step.safetensors');
    stepper.handOver(path);
    return await use(stepper, path);
  } finally {
    stepper.dispose();
    rmSync(folder, { recursive: true, force: true });
  }
}
