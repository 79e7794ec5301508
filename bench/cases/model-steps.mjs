import { torch } from '../../dist/index.js';
import { inChild } from '../child.mjs';
import { MODELS, withModelStep } from '../model-step.mjs';
import { withPeer } from '../peer.mjs';
import { alternate, median } from '../statistics.mjs';

const PEER = 'models_eager.py';
/** Steps before the clock runs; their losses are compared. */
const COMPARED = 3;
const LOSS_BOUND = 1e-3;
/** Steps after which a peak is read. */
const STEPS = 3;

function measureTime(runs, name) {
  return withModelStep(name, (stepper, path) =>
    withPeer(PEER, async (peer) => {
      await peer.ask('load', { path, threads: torch.getNumThreads() });
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
    }),
  );
}

function measureMemory(runs, name) {
  return withModelStep(name, (_, path) => {
    const threads = torch.getNumThreads();
    const theirs = async (peer) =>
      (await peer.ask('memory', { path, n: STEPS, threads })).megabytes;
    return alternate(runs, {
      ours: async () => (await inChild('model-memory.mjs', name, STEPS)).megabytes,
      peer: () => withPeer(PEER, theirs),
    });
  });
}

export default Object.entries(MODELS).flatMap(([name, { backbone }]) => [
  {
    name: `model-step-${name}`,
    title: `a supervised training step, ${name} on ${backbone}, 128², 13 classes, two images`,
    unit: 'ms',
    runs: 7,
    target: { ratio: 0.6 },
    measure: ({ runs }) => measureTime(runs, name),
  },
  {
    name: `model-memory-${name}`,
    title: `the same, ${name}: peak RSS above that before the network`,
    unit: 'MB',
    runs: 3,
    target: { ratio: 0.6 },
    measure: ({ runs }) => measureMemory(runs, name),
  },
]);
