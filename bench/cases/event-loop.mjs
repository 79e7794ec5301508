import { monitorEventLoopDelay } from 'node:perf_hooks';
import { torch } from '../../dist/index.js';
import { alternate } from '../statistics.mjs';

const SIDE = 1500;
const COUNT = 4;

/** The longest that the event loop was held, in ms, while products of SIDE² were computed. */
async function held(compute) {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  const a = torch.detached(() => torch.randn([SIDE, SIDE]));
  delay.enable();
  // A turn before and after: only what a turn is kept from counts.
  await new Promise((resolve) => setTimeout(resolve, 5));
  await torch.scope(() => compute(torch.ops.aten.mm, a));
  await new Promise((resolve) => setTimeout(resolve, 5));
  delay.disable();
  a.dispose();
  return delay.max / 1e6;
}

export default [
  {
    unit: 'ms',
    runs: 5,
    target: { ours: 10 },
    name: 'event-loop',
    title: `longest hold of the event loop by ${COUNT} products of ${SIDE}²: \`.async\`, and (peer) not`,
    measure: ({ runs }) =>
      alternate(runs, {
        ours: () =>
          held((mm, a) => Promise.all(Array.from({ length: COUNT }, () => mm.async(a, a)))),
        peer: () =>
          held(async (mm, a) => {
            for (let i = 0; i < COUNT; i++) mm(a, a);
          }),
      }),
  },
];
