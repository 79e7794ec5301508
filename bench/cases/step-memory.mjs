import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { torch } from '../../dist/index.js';
import { withPeer } from '../peer.mjs';
import { alternate } from '../statistics.mjs';
import { B2, withStep } from '../step.mjs';

const WORK = fileURLToPath(new URL('../children/step-memory.mjs', import.meta.url));
const STEPS = 3;
const run = promisify(execFile);

async function ours() {
  const { stdout } = await run(process.execPath, [WORK, JSON.stringify(B2), String(STEPS)]);
  return JSON.parse(stdout).megabytes;
}

function measure(runs) {
  return withStep(B2, (_, path) => {
    // A fresh process each time on both sides: a peak is the most a process ever had.
    const threads = torch.getNumThreads();
    const theirs = async (peer) =>
      (await peer.ask('memory', { path, n: STEPS, threads })).megabytes;
    return alternate(runs, { ours, peer: () => withPeer('m3l_eager.py', theirs) });
  });
}

export default [
  {
    name: 'step-memory',
    title: 'a training step, MiT-B2, 256², L = U = 1: peak RSS above that before the networks',
    unit: 'MB',
    runs: 3,
    target: { ratio: 1 / 2 },
    measure: ({ runs }) => measure(runs),
  },
];
