import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { torch } from '../../dist/index.js';
import { optimizeForInference } from '../../dist/inference/index.js';
import { createModel, fromHuggingFace, Segformer } from '../../dist/models/index.js';
import { saveOnnx } from '../../dist/onnx/index.js';
import { onnxruntime } from '../onnxruntime.mjs';
import { withPeer } from '../peer.mjs';
import { alternate, median } from '../statistics.mjs';

const CLASSES = 13;
const THREADS = 2;
/** Calls before the clock runs: by then the way of every product is chosen (lib/models/inference). */
const WARM_UP = 8;
/** Milliseconds of rest between sides: the threads of the one still spin when the other starts. */
const REST = 50;
const BOUND = 1e-4;
/** Two chains of roundings to 8 bits that take different ways. */
const BFLOAT16_BOUND = 0.1;

const images = (count, { size, batch = 1 }) =>
  Array.from({ length: count }, () => torch.randn([batch, 3, size, size]));

/** Largest difference of any head, relative to its largest value. */
function difference(found, expected) {
  return torch.scope(() =>
    Math.max(
      ...found.map((logits, head) => {
        const other = expected[head];
        return logits.sub(other).abs().max().item() / other.abs().max().item();
      }),
    ),
  );
}

/** Milliseconds of each of n calls, after one that is not counted. */
async function timed(n, call) {
  await setTimeout(REST);
  const times = [];
  for (let run = 0; run <= n; run++) {
    const start = performance.now();
    await call();
    if (run > 0) times.push(performance.now() - start);
  }
  return median(times);
}

/** Our side: the view of a model on inputs, in a folder for what goes to the peer. */
class Ours {
  constructor({ model, inputs, upsample = true }) {
    this.inputs = inputs;
    this.model = model;
    this.view = optimizeForInference(model);
    this.upsample = upsample;
    for (let call = 0; call < WARM_UP; call++) this.run();
  }

  run() {
    torch.scope(() => {
      this.view.forward(this.inputs, { upsample: this.upsample });
    });
  }

  /** The logits of all heads, one after another. */
  heads() {
    const { heads, ensemble } = this.view.forward(this.inputs, { upsample: this.upsample });
    return this.model.modalities === 1 ? heads : [...heads, ensemble];
  }

  /** Saves the logits for the peer to compare. */
  save(path) {
    torch.scope(() => {
      const heads = this.heads().map((logits, index) => [String(index), logits.clone()]);
      torch.saveSafetensors(path, Object.fromEntries(heads));
    });
  }

  dispose() {
    this.view.dispose();
    this.model.dispose();
    torch.dispose(this.inputs);
  }
}

async function inFolder(use) {
  const folder = mkdtempSync(join(tmpdir(), 'm3l-bench-'));
  const threads = torch.getNumThreads();
  torch.setNumThreads(THREADS);
  torch.manualSeed(1);
  try {
    return await use(folder);
  } finally {
    torch.setNumThreads(threads);
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A random model and a pair, and the file from which the peer has both. */
function linearFusion(folder, options) {
  const { backbone } = options;
  const made = torch.detached(() => {
    const model = createModel({
      name: 'linear-fusion',
      backbone: `mit-${backbone}`,
      numClasses: CLASSES,
      // As the peer has it.
      ensemble: 'all',
    });
    return { model: model.eval(), inputs: images(2, options) };
  });
  const named = (prefix, tensors) =>
    Object.fromEntries(Object.entries(tensors).map(([name, t]) => [`${prefix}${name}`, t]));
  const file = join(folder, 'pair.safetensors');
  torch.scope(() => {
    const [rgb, depth] = made.inputs;
    const tensors = {
      ...named('state.', made.model.stateDict()),
      ...named('input.', { rgb, depth }),
    };
    torch.saveSafetensors(file, tensors, { backbone, num_classes: String(CLASSES) });
  });
  return { ...made, file };
}

/** n calls a turn, so that a turn takes long enough to time. */
const callsOf = ({ size, backbone }) => (size < 200 ? 20 : backbone === 'b0' ? 4 : 2);

/** Against PyTorch eager; with `bfloat16`, ours in that type against its autocast. */
function againstEager({ runs }, options) {
  return inFolder(async (folder) => {
    const { model, inputs, file } = linearFusion(folder, options);
    const autocast = options.bfloat16 ?? false;
    if (autocast) model.to({ dtype: 'bfloat16' });
    const given = autocast ? torch.detached(() => inputs.map((x) => x.to('bfloat16'))) : inputs;
    const ours = new Ours({ model, inputs: given });
    try {
      return await withPeer('inference.py', async (peer) => {
        await peer.ask('linear_fusion', { path: file, threads: THREADS });
        const found = join(folder, 'heads.safetensors');
        ours.save(found);
        const { difference: lossError } = await peer.ask('compare', { path: found, autocast });
        const n = callsOf(options);
        const result = await alternate(runs, {
          ours: () => timed(n, () => ours.run()),
          peer: async () => {
            await setTimeout(REST);
            return median((await peer.ask('run', { n: n + 1, autocast })).ms.slice(1));
          },
        });
        return { ...result, lossError, lossBound: autocast ? BFLOAT16_BOUND : BOUND };
      });
    } finally {
      ours.dispose();
    }
  });
}

/** The graph that PyTorch exports; gives the names of its outputs. */
async function exportedByPyTorch(path, { file }) {
  return await withPeer(
    'inference.py',
    async (peer) => {
      await peer.ask('linear_fusion', { path: file, threads: THREADS });
      return (await peer.ask('export', { path })).heads;
    },
    { kit: 'onnx' },
  );
}

/** The graph that we export. */
function exportedByUs(path, { model, inputs }) {
  const outputs = ['rgb_logits', 'depth_logits', 'ensemble_logits'];
  const predict = ({ rgb, depth }) => {
    const { heads, ensemble } = model.forward([rgb, depth]);
    return [...heads, ensemble];
  };
  torch.scope(() =>
    saveOnnx(path, predict, { rgb: inputs[0], depth: inputs[1] }, { model, outputs }),
  );
  return outputs;
}

/** Against onnxruntime-node on the graph that PyTorch exports, or with `ownGraph` on ours. */
function againstOnnxruntime({ runs }, options) {
  return inFolder(async (folder) => {
    const ort = onnxruntime();
    const made = linearFusion(folder, options);
    const { model, inputs } = made;
    const graph = join(folder, 'model.onnx');
    const names = await (options.ownGraph ? exportedByUs : exportedByPyTorch)(graph, made);
    const session = await ort.InferenceSession.create(graph, {
      intraOpNumThreads: THREADS,
      graphOptimizationLevel: 'all',
    });
    const tensor = (x) => new ort.Tensor('float32', x.toTypedArray(), x.shape);
    const feeds = { rgb: tensor(inputs[0]), depth: tensor(inputs[1]) };
    const ours = new Ours({ model, inputs });
    try {
      const outputs = await session.run(feeds);
      const lossError = torch.scope(() => {
        const expected = names.map((name) =>
          torch.tensor(outputs[name].data, { shape: outputs[name].dims }),
        );
        return difference(ours.heads(), expected);
      });
      const n = callsOf(options);
      const result = await alternate(runs, {
        ours: () => timed(n, () => ours.run()),
        peer: () => timed(n, () => session.run(feeds)),
      });
      return { ...result, lossError, lossBound: BOUND };
    } finally {
      ours.dispose();
      await session.release();
    }
  });
}

const hubConfigs = {
  b0: { hidden_sizes: [32, 64, 160, 256], depths: [2, 2, 2, 2], decoder_hidden_size: 256 },
  b2: { hidden_sizes: [64, 128, 320, 512], depths: [3, 4, 6, 3], decoder_hidden_size: 768 },
};

/** One modality against Hugging Face's SegFormer; logits at a quarter of the size, as it gives them. */
function againstHub({ runs }, options) {
  return inFolder(async (folder) => {
    const [input] = torch.detached(() => images(1, options));
    const file = join(folder, 'input.safetensors');
    torch.saveSafetensors(file, { input });
    const config = hubConfigs[options.backbone];
    return await withPeer(
      'inference.py',
      async (peer) => {
        const hub = { ...config, num_labels: CLASSES, path: file, folder, threads: THREADS };
        await peer.ask('segformer', hub);
        const model = new Segformer({
          backbone: `mit-${options.backbone}`,
          numClasses: CLASSES,
          decoderWidth: config.decoder_hidden_size,
          layerNormEps: 1e-5,
        }).eval();
        torch.scope(() => {
          const { tensors } = torch.loadSafetensors(join(folder, 'model.safetensors'));
          model.loadStateDict(fromHuggingFace(tensors));
        });
        const ours = new Ours({ model, inputs: [input], upsample: false });
        try {
          const found = join(folder, 'heads.safetensors');
          ours.save(found);
          const { difference: lossError } = await peer.ask('compare', { path: found });
          const n = callsOf(options);
          const result = await alternate(runs, {
            ours: () => timed(n, () => ours.run()),
            peer: async () => {
              await setTimeout(REST);
              return median((await peer.ask('run', { n: n + 1 })).ms.slice(1));
            },
          });
          return { ...result, lossError, lossBound: BOUND };
        } finally {
          ours.dispose();
        }
      },
      { kit: 'transformers' },
    );
  });
}

const pair = ({ backbone, size, batch = 1 }) =>
  `${batch === 1 ? 'one RGB-D pair' : `${batch} RGB-D pairs`}, Linear Fusion MiT-${backbone.toUpperCase()}, ${size}², ${CLASSES} classes, all heads`;

const against = {
  eager: { measure: againstEager, title: (o) => `${pair(o)}, fp32, against PyTorch eager` },
  onnx: {
    measure: againstOnnxruntime,
    title: (o) =>
      `${pair(o)}, fp32, against onnxruntime-node on the graph that ${o.ownGraph ? 'm3l' : 'PyTorch'} exports`,
  },
  hub: {
    measure: againstHub,
    title: ({ backbone, size }) =>
      `one image, SegFormer-${backbone.toUpperCase()}, ${size}², fp32, against Hugging Face transformers`,
  },
};

const inference = (name, peer, ratio, options) => ({
  name: `inference-${name}`,
  title: options.title ?? against[peer].title(options),
  unit: 'ms',
  runs: 5,
  target: { ratio },
  measure: (how) => against[peer].measure(how, options),
});

const b2 = { backbone: 'b2', size: 540 };
const b0 = { backbone: 'b0', size: 540 };
const small = { backbone: 'b0', size: 128 };
const bfloat16 = {
  ...b2,
  bfloat16: true,
  title: `${pair(b2)}, bfloat16 weights and activations against PyTorch's autocast`,
};

export default [
  inference('b2-540', 'eager', 1 / 3, b2),
  inference('b0-540', 'eager', 1 / 3, b0),
  inference('b0-128', 'eager', 1 / 3, small),
  inference('b0-128-batch-8', 'eager', 1 / 3, { ...small, batch: 8 }),
  inference('b2-540-bfloat16', 'eager', 1 / 2, bfloat16),
  inference('b2-540-onnxruntime', 'onnx', 1 / 1.3, b2),
  inference('b0-540-onnxruntime', 'onnx', 1 / 1.8, b0),
  inference('b0-128-onnxruntime', 'onnx', 1 / 1.8, small),
  inference('b0-540-own-graph', 'onnx', 1 / 1.8, { ...b0, ownGraph: true }),
  inference('b0-128-own-graph', 'onnx', 1 / 1.8, { ...small, ownGraph: true }),
  inference('segformer-b0-512', 'hub', 1 / 1.3, { backbone: 'b0', size: 512 }),
  inference('segformer-b2-512', 'hub', 1 / 1.3, { backbone: 'b2', size: 512 }),
];
