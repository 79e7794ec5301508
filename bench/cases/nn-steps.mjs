import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nn, optim, torch } from '../../dist/index.js';
import { withPeer } from '../peer.mjs';
import { alternate } from '../statistics.mjs';

const LOSS_BOUND = 1e-3;
const [WIDTH, HEADS, CONTEXT, LETTERS] = [128, 4, 64, 65];

class Block extends nn.Module {
  norm1 = new nn.LayerNorm(WIDTH);
  qkv = new nn.Linear(WIDTH, 3 * WIDTH);
  out = new nn.Linear(WIDTH, WIDTH);
  norm2 = new nn.LayerNorm(WIDTH);
  up = new nn.Linear(WIDTH, 4 * WIDTH);
  down = new nn.Linear(4 * WIDTH, WIDTH);

  forward(x) {
    const [batch, length] = x.shape;
    const heads = (y) => y.reshape([batch, length, HEADS, WIDTH / HEADS]).transpose(1, 2);
    const [q, k, v] = this.qkv.forward(this.norm1.forward(x)).chunk(3, -1).map(heads);
    const seen = nn.functional.scaledDotProductAttention(q, k, v, { isCausal: true });
    const y = x.add(this.out.forward(seen.transpose(1, 2).reshape([batch, length, WIDTH])));
    return y.add(this.down.forward(this.up.forward(this.norm2.forward(y)).gelu()));
  }
}

class Gpt extends nn.Module {
  letters = new nn.Embedding(LETTERS, WIDTH);
  places = new nn.Embedding(CONTEXT, WIDTH);
  blocks = new nn.ModuleList([new Block(), new Block()]);
  norm = new nn.LayerNorm(WIDTH);
  head = new nn.Linear(WIDTH, LETTERS);

  forward(x) {
    let y = this.letters.forward(x).add(this.places.forward(torch.arange(CONTEXT)));
    for (const block of this.blocks) y = block.forward(y);
    return this.head.forward(this.norm.forward(y)).flatten(0, 1);
  }
}

/** Each with the same layers, names and order in bench/peers/nn_steps.py. */
const NETWORKS = {
  mlp: {
    make: () =>
      new nn.Sequential(
        new nn.Linear(784, 256),
        new nn.ReLU(),
        new nn.Linear(256, 256),
        new nn.ReLU(),
        new nn.Linear(256, 10),
      ),
    input: () => torch.randn([64, 784]),
    target: () => torch.randint(0, 10, [64]),
  },
  convnet: {
    make: () =>
      new nn.Sequential(
        new nn.Conv2d(1, 32, 3, { padding: 1 }),
        new nn.ReLU(),
        new nn.MaxPool2d(2),
        new nn.Conv2d(32, 64, 3, { padding: 1 }),
        new nn.BatchNorm2d(64),
        new nn.ReLU(),
        new nn.MaxPool2d(2),
        new nn.Flatten(),
        new nn.Linear(64 * 7 * 7, 10),
      ),
    input: () => torch.randn([32, 1, 28, 28]),
    target: () => torch.randint(0, 10, [32]),
  },
  gpt: {
    make: () => new Gpt(),
    input: () => torch.randint(0, LETTERS, [8, CONTEXT]),
    target: () => torch.randint(0, LETTERS, [8 * CONTEXT]),
  },
};

/** Trains a network by AdamW; `steps` gives the milliseconds a step, and the last loss. */
function learner({ make, input, target }) {
  const [model, x, y] = torch.detached(() => [make(), input(), target()]);
  const optimizer = torch.detached(() => new optim.AdamW(model.parameters(), { lr: 1e-4 }));
  const step = () =>
    torch.scope(() => {
      optimizer.zeroGrad();
      const loss = nn.functional.crossEntropy(model.forward(x), y);
      loss.backward();
      optimizer.step();
      return loss.item();
    });
  return {
    tensors: { ...model.stateDict(), '.input': x, '.target': y },
    steps(count) {
      const start = performance.now();
      let loss = Number.NaN;
      for (let i = 0; i < count; i++) loss = step();
      return { ms: (performance.now() - start) / count, loss };
    },
  };
}

async function measure(name, steps, runs) {
  const folder = mkdtempSync(join(tmpdir(), 'm3l-bench-'));
  try {
    torch.manualSeed(1);
    const ours = learner(NETWORKS[name]);
    const path = join(folder, 'network.safetensors');
    torch.saveSafetensors(path, ours.tensors);
    return await withPeer('nn_steps.py', async (peer) => {
      await peer.ask('load', { name, path, threads: torch.getNumThreads() });
      const losses = {};
      const timed = (side, work) => async () => {
        const { ms, loss } = await work();
        losses[side] = loss;
        return ms;
      };
      const sides = {
        ours: timed('ours', () => ours.steps(steps)),
        peer: timed('peer', () => peer.ask('steps', { n: steps })),
      };
      await alternate(1, sides);
      const result = await alternate(runs, sides);
      // Both went the same way.
      const lossError = Math.abs(losses.ours - losses.peer) / Math.max(1, losses.peer);
      return { ...result, lossError, lossBound: LOSS_BOUND };
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const networkCase = (name, title, steps) => ({
  name: `step-${name}`,
  title,
  unit: 'ms',
  runs: 9,
  target: { ratio: 1 },
  measure: ({ runs }) => measure(name, steps, runs),
});

export default [
  networkCase('mlp', 'a training step of an MLP 784-256-256-10, batch 64, AdamW', 100),
  networkCase('convnet', 'a training step of a convnet on 32 images of 28 × 28, AdamW', 20),
  networkCase('gpt', 'a training step of a GPT, 2 × 128 wide, 8 × 64 letters, AdamW', 10),
];
