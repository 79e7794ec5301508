import { torch } from '../../dist/index.js';
import { withPeer } from '../peer.mjs';
import { alternate, median } from '../statistics.mjs';
import { B2, withStep } from '../step.mjs';

/** The gradients' origin does not matter: small images make them quickly. */
const SETTINGS = { ...B2, size: 64 };
const UPDATES = 3;
const LOSS_BOUND = 1e-3;

function measure(runs) {
  return withStep(SETTINGS, (stepper, path) =>
    withPeer('m3l_eager.py', async (peer) => {
      await peer.ask('load', { path, threads: torch.getNumThreads() });
      await stepper.step(1);
      await peer.ask('step', { n: 1 });
      const result = await alternate(runs, {
        ours: () => stepper.optimise(UPDATES).ms,
        peer: async () => median((await peer.ask('optimise', { n: UPDATES })).ms),
      });
      // Both went the same way: the next loss says so.
      const [ours, theirs] = [await stepper.step(1), await peer.ask('step', { n: 1 })];
      const lossError = Math.abs(ours.loss / theirs.loss - 1);
      return { ...result, lossError, lossBound: LOSS_BOUND };
    }),
  );
}

export default [
  {
    name: 'optimiser',
    title: "AdamW over three parameter groups and the teacher's EMA, Linear Fusion MiT-B2",
    unit: 'ms',
    runs: 9,
    target: { ratio: 1 / 3 },
    measure: ({ runs }) => measure(runs),
  },
];
