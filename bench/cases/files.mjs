import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { torch } from '../../dist/index.js';
import { withPeer } from '../peer.mjs';
import { alternate } from '../statistics.mjs';

/** The file is read once by each side before, so that it lies in the system's memory. */
async function measure(runs, { tensors, size, safetensors = false }) {
  const folder = mkdtempSync(join(tmpdir(), 'm3l-bench-'));
  const path = join(folder, 'weights.pth');
  const ours = safetensors ? join(folder, 'weights.safetensors') : path;
  const read = () => {
    const start = performance.now();
    torch.scope(() => void (safetensors ? torch.loadSafetensors(ours) : torch.load(ours)));
    return performance.now() - start;
  };
  try {
    return await withPeer('files.py', async (peer) => {
      await peer.ask('write', { path, tensors, size });
      if (safetensors) torch.scope(() => torch.saveSafetensors(ours, torch.load(path)));
      const theirs = async () => (await peer.ask('load', { path })).ms;
      read();
      await theirs();
      return await alternate(runs, { ours: read, peer: theirs });
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export default [
  {
    name: 'load-pth',
    title: '`torch.load` of 100 MB in 400 tensors',
    unit: 'ms',
    runs: 9,
    target: { ratio: 1.5 },
    measure: ({ runs }) => measure(runs, { tensors: 400, size: 256 }),
  },
  {
    name: 'load-pth-many',
    title: '`torch.load` of 48 MB in 3,000 tensors',
    unit: 'ms',
    runs: 9,
    target: { ratio: 1.5 },
    measure: ({ runs }) => measure(runs, { tensors: 3000, size: 64 }),
  },
  {
    name: 'load-safetensors',
    title: '100 MB of safetensors, beside `torch.load` of the same values',
    unit: 'ms',
    runs: 9,
    target: { ratio: 1 },
    measure: ({ runs }) => measure(runs, { tensors: 400, size: 256, safetensors: true }),
  },
];
