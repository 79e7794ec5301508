import { inChild } from '../child.mjs';
import { withPeer } from '../peer.mjs';
import { alternate } from '../statistics.mjs';

const TITLES = {
  scoped: 'in scopes',
  asyncScope: 'in asynchronous scopes',
  unscoped: 'in no scope',
  withGradients: 'with gradients, in scopes',
  unscopedWithGradients: 'with gradients, in no scope',
};

export default Object.entries(TITLES).map(([style, title]) => ({
  name: `million-operators-${style}`,
  title: `10⁶ operators ${title}: rise of the resident set over the second half`,
  unit: 'MB',
  runs: 1,
  target: { ours: 32 },
  measure: ({ runs }) =>
    alternate(runs, {
      ours: async () => (await inChild('million-operators.mjs', style)).megabytes,
      peer: () => withPeer('op_call.py', async (peer) => (await peer.ask('million')).megabytes),
    }),
}));
