import { torch } from '../../dist/index.js';
import { withPeer } from '../peer.mjs';
import { alternate } from '../statistics.mjs';

const CALLS = 2_000;

/** Microseconds of an `add` whose shapes do not fit, its error caught. */
function refused(a, b) {
  const start = process.hrtime.bigint();
  for (let i = 0; i < CALLS; i++) {
    try {
      torch.add(a, b);
    } catch {
      // What is measured.
    }
  }
  return Number(process.hrtime.bigint() - start) / CALLS / 1e3;
}

export default [
  {
    unit: 'µs',
    runs: 9,
    target: { ours: 500 },
    name: 'op-error',
    title: 'the error of an `add` of shapes that do not fit',
    measure: ({ runs }) => {
      const [a, b] = torch.detached(() => [torch.ones([4]), torch.ones([3])]);
      return withPeer('op_call.py', (peer) =>
        alternate(runs, {
          ours: () => refused(a, b),
          peer: async () => (await peer.ask('refused', { n: CALLS })).us,
        }),
      );
    },
  },
];
