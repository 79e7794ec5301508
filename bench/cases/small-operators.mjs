import { torch } from '../../dist/index.js';
import { withPeer } from '../peer.mjs';
import { alternate } from '../statistics.mjs';

const CALLS = 20_000;
const PER_SCOPE = 1_000;

/** By name, as bench/peers/small_operators.py does the same. `x` and `y` are 4 × 4, `mask` bool. */
const OPERATORS = {
  add: ({ x, y }) => x.add(y),
  addScalar: ({ x }) => x.add(1.5),
  mul: ({ x, y }) => x.mul(y),
  div: ({ x, y }) => x.div(y),
  exp: ({ x }) => x.exp(),
  relu: ({ x }) => x.relu(),
  sigmoid: ({ x }) => x.sigmoid(),
  sum: ({ x }) => x.sum(),
  meanOfDim: ({ x }) => x.mean(1),
  argmax: ({ x }) => x.argmax(1),
  softmax: ({ x }) => x.softmax(1),
  matmul: ({ x, y }) => x.matmul(y),
  transpose: ({ x }) => x.transpose(0, 1),
  reshape: ({ x }) => x.reshape([2, 8]),
  unsqueeze: ({ x }) => x.unsqueeze(0),
  narrow: ({ x }) => x.narrow(0, 1, 2),
  cat: ({ x, y }) => torch.cat([x, y]),
  where: ({ x, y, mask }) => torch.where(mask, x, y),
  gt: ({ x, y }) => x.gt(y),
  addInPlace: ({ x, y }) => x.add_(y),
};

function nanosecondsOf(operator, tensors) {
  const start = process.hrtime.bigint();
  for (let done = 0; done < CALLS; done += PER_SCOPE) {
    torch.scope(() => {
      for (let i = 0; i < PER_SCOPE; i++) operator(tensors);
    });
  }
  return Number(process.hrtime.bigint() - start) / CALLS;
}

const geometricMean = (values) =>
  Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);

function measure(runs) {
  torch.setNumThreads(1);
  const tensors = torch.detached(() => {
    const [x, y] = [torch.ones([4, 4]), torch.ones([4, 4])];
    return { x, y, mask: x.gt(0) };
  });
  return withPeer('small_operators.py', async (peer) => {
    const found = {};
    for (const [name, operator] of Object.entries(OPERATORS)) {
      const sides = {
        ours: () => nanosecondsOf(operator, tensors),
        peer: async () => (await peer.ask('call', { name, n: CALLS })).ns,
      };
      await alternate(1, sides);
      found[name] = await alternate(runs, sides);
    }
    const mean = (side) => geometricMean(Object.values(found).map((each) => each[side]));
    const ratios = Object.entries(found).map(([name, { ours, peer }]) => [name, ours / peer]);
    return { ours: mean('ours'), peer: mean('peer'), parts: Object.fromEntries(ratios) };
  });
}

export default [
  {
    name: 'small-operators',
    title: 'geometric mean of 20 operators on 4 × 4 elements, in a scope',
    unit: 'ns',
    runs: 7,
    target: { ratio: 0.75 },
    measure: ({ runs }) => measure(runs),
  },
];
