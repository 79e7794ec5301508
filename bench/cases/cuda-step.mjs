import { torch } from '../../dist/index.js';
import { withPeer } from '../peer.mjs';
import { alternate, median } from '../statistics.mjs';
import { B2, withStep } from '../step.mjs';

/** Steps before the clock runs, whose losses are compared: more than are run before the capture. */
const COMPARED = 5;

const SETTINGS = {
  ...B2,
  size: 540,
  labelled: 4,
  unlabelled: 4,
  branches: [1, -1, 0, 1, 0, 1, -1, 0],
  device: 'cuda',
};

/** Our step without a graph, by itself: both at once would want twice the memory. */
async function eager(runs, settings) {
  const ms = await withStep({ ...settings, execution: 'eager' }, async (stepper) => {
    await stepper.step(COMPARED);
    return (await stepper.step(3 * runs)).ms;
  });
  torch.cuda.emptyCache();
  return ms;
}

async function measure(runs, settings, lossBound) {
  const withoutGraph = await eager(runs, settings);
  return withStep({ ...settings, execution: 'captured' }, (stepper, path) =>
    withPeer('m3l_eager.py', async (peer) => {
      await peer.ask('load', { path, threads: torch.getNumThreads(), device: 'cuda' });
      let lossError = 0;
      for (let step = 0; step < COMPARED; step++) {
        const [ours, theirs] = [await stepper.step(1), await peer.ask('step', { n: 1 })];
        lossError = Math.max(lossError, Math.abs(ours.loss / theirs.loss - 1));
      }
      const result = await alternate(runs, {
        ours: async () => (await stepper.step(3)).ms,
        peer: async () => median((await peer.ask('step', { n: 3 })).ms),
      });
      return { ...result, withoutGraph, lossError, lossBound };
    }),
  );
}

const skip = () => (torch.cuda.isAvailable() ? null : 'there is no CUDA device');

export default [
  {
    name: 'cuda-step-b2-540',
    title:
      'a whole M3L training step replayed as CUDA graphs, MiT-B2, 540², 13 classes, L = U = 4, fp32, ' +
      'against PyTorch eager in fp32 on the same GPU',
    unit: 'ms',
    runs: 5,
    target: { ratio: 1 / 2.5 },
    skip,
    measure: ({ runs }) => measure(runs, SETTINGS, 1e-2),
  },
  {
    name: 'cuda-step-b2-540-bfloat16',
    title: 'the same in bfloat16, against PyTorch eager in fp32',
    unit: 'ms',
    runs: 5,
    target: { ratio: 1 / 6 },
    skip,
    measure: ({ runs }) => measure(runs, { ...SETTINGS, precision: 'bfloat16' }, 5e-2),
  },
];
