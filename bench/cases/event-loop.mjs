import { monitorEventLoopDelay } from 'node:perf_hooks';
import { torch } from '../../dist/index.js';
import { inWorker, optimizeForInference } from '../../dist/inference/index.js';
import { createModel } from '../../dist/models/index.js';
import { alternate, median } from '../statistics.mjs';

const SIDE = 1500;
const COUNT = 4;

/** How long, in ms, the event loop was held while `compute` ran. */
async function delayOf(compute) {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  // A turn before and after: only what a turn is kept from counts.
  await new Promise((resolve) => setTimeout(resolve, 5));
  await torch.scope(compute);
  await new Promise((resolve) => setTimeout(resolve, 5));
  delay.disable();
  return delay;
}

/** The longest hold by products of SIDE². */
async function held(compute) {
  const a = torch.detached(() => torch.randn([SIDE, SIDE]));
  const delay = await delayOf(() => compute(torch.ops.aten.mm, a));
  a.dispose();
  return delay.max / 1e6;
}

/** Pictures after each other, by the same network in a worker and here. */
async function predictor(runs) {
  const module = new URL('../children/predictor-model.mjs', import.meta.url);
  const options = { name: 'linear-fusion', backbone: 'mit-b0', numClasses: 13, modalities: 2 };
  const model = createModel(options);
  const view = optimizeForInference(model);
  const inputs = torch.detached(() => [1, 2].map(() => torch.randn([1, 3, 384, 384])));
  const worker = await inWorker(module, { data: { options, state: model.stateDict() } });
  const [there, here] = [() => worker.forward(inputs), async () => view.forward(inputs)];
  const pictures = (forward) =>
    delayOf(async () => {
      for (let i = 0; i < 5; i++) await torch.scope(forward);
    });
  for (const forward of [there, here]) await pictures(forward);
  const late = [];
  const result = await alternate(runs, {
    ours: async () => {
      const delay = await pictures(there);
      late.push(delay.percentile(99) / 1e6);
      return delay.max / 1e6;
    },
    peer: async () => (await pictures(here)).max / 1e6,
  });
  await worker.close();
  torch.dispose(inputs);
  view.dispose();
  model.dispose();
  return { ...result, percentile99: median(late) };
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
  {
    unit: 'ms',
    runs: 5,
    target: { ours: 10 },
    name: 'event-loop-predictor',
    title:
      'longest hold of the event loop by 5 predictions of linear fusion, MiT-B0, 384²: in a worker, and ' +
      '(peer) not',
    measure: ({ runs }) => predictor(runs),
  },
];
