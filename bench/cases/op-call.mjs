import { torch } from '../../dist/index.js';
import { withPeer } from '../peer.mjs';
import { alternate } from '../statistics.mjs';

const CALLS = 200_000;
/** Temporaries of one scope: enough that opening and closing it is in the price, but small. */
const PER_SCOPE = 1_000;

const works = {
  scoped(a, b) {
    for (let done = 0; done < CALLS; done += PER_SCOPE) {
      torch.scope(() => {
        for (let i = 0; i < PER_SCOPE; i++) torch.add(a, b);
      });
    }
  },
  unscoped(a, b) {
    for (let i = 0; i < CALLS; i++) torch.add(a, b);
  },
};

/** Nanoseconds a call of `add` on two 4-element tensors. */
function measure(work, runs) {
  const [a, b] = torch.detached(() => [torch.ones([4]), torch.ones([4])]);
  const ours = () => {
    const start = process.hrtime.bigint();
    work(a, b);
    return Number(process.hrtime.bigint() - start) / CALLS;
  };
  return withPeer('op_call.py', async (peer) => {
    const theirs = async () => (await peer.ask('call', { n: CALLS })).ns;
    ours();
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
    measure: ({ runs }) => measure(works.scoped, runs),
  },
  {
    ...common,
    name: 'op-call-unscoped',
    title: '`add` of two 4-element tensors, no scope',
    target: { ratio: 1 },
    measure: ({ runs }) => measure(works.unscoped, runs),
  },
];
