import { inChild } from '../child.mjs';
import { withPeer } from '../peer.mjs';
import { alternate } from '../statistics.mjs';

export default [
  {
    name: 'unscoped-memory',
    title: '2,000 × 1 MiB temporaries in a synchronous loop, no scope: peak RSS above start',
    unit: 'MB',
    runs: 3,
    target: { ours: 500 },
    measure: ({ runs }) =>
      // A fresh process each time on both sides: a peak is the most a process ever had.
      alternate(runs, {
        ours: async () => (await inChild('unscoped-memory.mjs')).megabytes,
        peer: () =>
          withPeer('op_call.py', async (peer) => (await peer.ask('temporaries')).megabytes),
      }),
  },
];
