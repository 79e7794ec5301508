import { torch } from '../../dist/index.js';
import { withPeer } from '../peer.mjs';
import { alternate, median } from '../statistics.mjs';
import { B2, withStep } from '../step.mjs';

/** Steps before the clock runs, whose losses are compared: more than are run before the capture. */
const COMPARED = 5;

const SETTINGS = {
  ...B2,
  size: 540,
  labelled: 4,
  unlabelled: 4,
  branches: [1, -1, 0, 1, 0, 1, -1, 0],
  device: 'cuda',
};

/** Our step without a graph, by itself: both at once would want twice the memory. */
async function eager(runs, settings) {
  torch.cuda.resetPeakMemoryStats();
  const ms = await withStep({ ...settings, execution: 'eager' }, async (stepper) => {
    await stepper.step(COMPARED);
    return (await stepper.step(3 * runs)).ms;
  });
  const peakBytes = torch.cuda.memory().peak;
  torch.cuda.emptyCache();
  return { withoutGraph: ms, peakBytes };
}

/** Both sides compute in one precision: `float32`, `tf32` or `bfloat16` (autocast). */
async function measure(runs, precision, lossBound) {
  torch.cuda.allowTf32(precision === 'tf32');
  const settings = { ...SETTINGS, precision: precision === 'bfloat16' ? precision : 'float32' };
  const alone = await eager(runs, settings);
  return withStep({ ...settings, execution: 'captured' }, (stepper, path) =>
    withPeer('m3l_eager.py', async (peer) => {
      const threads = torch.getNumThreads();
      await peer.ask('load', { path, threads, device: 'cuda', precision });
      let lossError = 0;
      for (let step = 0; step < COMPARED; step++) {
        const [ours, theirs] = [await stepper.step(1), await peer.ask('step', { n: 1 })];
        lossError = Math.max(lossError, Math.abs(ours.loss / theirs.loss - 1));
      }
      const result = await alternate(runs, {
        ours: async () => (await stepper.step(3)).ms,
        peer: async () => median((await peer.ask('step', { n: 3 })).ms),
      });
      const { bytes: peerPeakBytes } = await peer.ask('device_memory', {});
      return { ...result, ...alone, peerPeakBytes, lossError, lossBound };
    }),
  );
}

const skip = () => (torch.cuda.isAvailable() ? null : 'there is no CUDA device');

const titled = (precision) =>
  'a whole M3L training step replayed as CUDA graphs, MiT-B2, 540², 13 classes, L = U = 4, in ' +
  `${precision}, against PyTorch eager in ${precision} on the same GPU`;

/** float32 products alone allow about 1.3 ×. */
export default [
  { precision: 'float32', name: 'cuda-step-b2-540', times: 1.3, lossBound: 1e-2 },
  { precision: 'tf32', name: 'cuda-step-b2-540-tf32', times: 2.5, lossBound: 2e-2 },
  { precision: 'bfloat16', name: 'cuda-step-b2-540-bfloat16', times: 2.5, lossBound: 5e-2 },
].map(({ precision, name, times, lossBound }) => ({
  name,
  title: titled(precision),
  unit: 'ms',
  runs: 5,
  target: { ratio: 1 / times },
  skip,
  measure: ({ runs }) => measure(runs, precision, lossBound),
}));
