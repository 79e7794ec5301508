import { inChild } from '../child.mjs';
import { withPeer } from '../peer.mjs';
import { alternate } from '../statistics.mjs';

const CALLS = 200_000;

/** Nanoseconds a call of `add` on two 4-element tensors. */
function measure(which, runs) {
  return withPeer('op_call.py', async (peer) => {
    // In a process of our own, as the peer is in its: here the other cases have called `add` with
    // all that it takes, and the compiler's code for it is no longer that of a program's inner loop.
    const ours = async () => (await inChild('op-call.mjs', which, CALLS)).ns;
    const theirs = async () => (await peer.ask('call', { n: CALLS })).ns;
    await theirs();
    return alternate(runs, { ours, peer: theirs });
  });
}

const common = { unit: 'ns', runs: 15 };

export default [
  {
    ...common,
    name: 'op-call-scoped',
    title: '`add` of two 4-element tensors, in a scope',
    target: { ratio: 0.7 },
    measure: ({ runs }) => measure('scoped', runs),
  },
  {
    ...common,
    name: 'op-call-unscoped',
    title: '`add` of two 4-element tensors, no scope',
    target: { ratio: 1 },
    measure: ({ runs }) => measure('unscoped', runs),
  },
];
