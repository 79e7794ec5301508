import { torch } from '../../dist/index.js';
import { OUR_MALLOC, withPeer } from '../peer.mjs';
import { alternate, median } from '../statistics.mjs';
import { B0, B2, withStep } from '../step.mjs';

/** Steps before the clock runs; their losses are compared. */
const COMPARED = 3;
const LOSS_BOUND = 1e-4;

/** The peer as it comes, and with our malloc settings. */
function withPeers(use) {
  return withPeer('m3l_eager.py', (peer) =>
    withPeer('m3l_eager.py', (tuned) => use(peer, tuned), { variables: OUR_MALLOC }),
  );
}

function measure(runs, settings) {
  return withStep(settings, (stepper, path) =>
    withPeers(async (peer, tuned) => {
      const start = { path, threads: torch.getNumThreads() };
      await peer.ask('load', start);
      await tuned.ask('load', start);
      let lossError = 0;
      for (let step = 0; step < COMPARED; step++) {
        const [ours, theirs] = [await stepper.step(1), await peer.ask('step', { n: 1 })];
        lossError = Math.max(lossError, Math.abs(ours.loss / theirs.loss - 1));
      }
      await tuned.ask('step', { n: COMPARED });
      const result = await alternate(runs, {
        ours: async () => (await stepper.step(3)).ms,
        peer: async () => median((await peer.ask('step', { n: 3 })).ms),
        tunedPeer: async () => median((await tuned.ask('step', { n: 3 })).ms),
      });
      return { ...result, lossError, lossBound: LOSS_BOUND };
    }),
  );
}

export default [
  {
    name: 'm3l-step',
    title: 'a whole M3L training step, Linear Fusion MiT-B0, 128², 13 classes, L = U = 2, fp32',
    unit: 'ms',
    runs: 7,
    target: { ratio: 1 / 4 },
    measure: ({ runs }) => measure(runs, B0),
  },
  {
    name: 'm3l-step-b2',
    title: 'the same, MiT-B2, 256², L = U = 1',
    unit: 'ms',
    runs: 5,
    target: { ratio: 1 / 3.5 },
    measure: ({ runs }) => measure(runs, B2),
  },
];
