import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { torch } from '../../dist/index.js';
import { withPeer } from '../peer.mjs';
import { alternate } from '../statistics.mjs';
import { B2, createStepper, handOver, makeBatch } from '../step.mjs';

const WORK = fileURLToPath(new URL('../children/step-memory.mjs', import.meta.url));
const STEPS = 3;
const run = promisify(execFile);

async function ours() {
  const { stdout } = await run(process.execPath, [WORK, JSON.stringify(B2), String(STEPS)]);
  return JSON.parse(stdout).megabytes;
}

async function measure(runs) {
  const folder = mkdtempSync(join(tmpdir(), 'm3l-bench-'));
  const path = join(folder, 'step.safetensors');
  const batch = torch.detached(() => makeBatch(B2));
  const stepper = createStepper(batch, B2);
  try {
    handOver(path, stepper.state, batch, B2);
    // A fresh process each time on both sides: a peak is the most a process ever had.
    const threads = torch.getNumThreads();
    const theirs = async (peer) =>
      (await peer.ask('memory', { path, n: STEPS, threads })).megabytes;
    return await alternate(runs, { ours, peer: () => withPeer('m3l_eager.py', theirs) });
  } finally {
    stepper.dispose();
    torch.dispose(batch);
    rmSync(folder, { recursive: true, force: true });
  }
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
