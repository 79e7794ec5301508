import { torch } from '../../dist/index.js';
import { inChild } from '../child.mjs';
import { withPeer } from '../peer.mjs';
import { alternate } from '../statistics.mjs';
import { B2, withStep } from '../step.mjs';

const STEPS = 3;

const ours = async () => (await inChild('step-memory.mjs', B2, STEPS)).megabytes;

function measure(runs) {
  return withStep(B2, (_, path) => {
    // A fresh process each time on both sides: a peak is the most a process ever had.
    const threads = torch.getNumThreads();
    const theirs = async (peer) =>
      (await peer.ask('memory', { path, n: STEPS, threads })).megabytes;
    return alternate(runs, { ours, peer: () => withPeer('m3l_eager.py', theirs) });
  });
}

export default [
  {
    name: 'step-memory',
    title: 'a training step, MiT-B2, 256², L = U = 1: peak RSS above that before the networks',
    unit: 'MB',
    runs: 3,
    target: { ratio: 1 / 2 },
    measure: ({ runs }) => measure(runs),
  },
];
