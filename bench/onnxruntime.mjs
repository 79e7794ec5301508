// onnxruntime-node, which is large and no dependency of the package: installed by npm into the cache.
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { cacheFolder } from '../dist/torch/libtorch.js';
import { PeerError } from './peer.mjs';

const PACKAGE = 'onnxruntime-node@1.30.0';

/** The module. @throws {PeerError} */
export function onnxruntime() {
  const folder = join(cacheFolder(), 'bench-node');
  const load = () => createRequire(join(folder, 'index.js'))('onnxruntime-node');
  try {
    return load();
  } catch {
    mkdirSync(folder, { recursive: true });
  }
  // Its script would fetch CUDA libraries; the CPU's are in the package.
  const command = ['install', '--prefix', folder, '--no-save', '--ignore-scripts', PACKAGE];
  const { stderr, error } = spawnSync('npm', command, { encoding: 'utf8' });
  try {
    return load();
  } catch (failure) {
    const reason = error?.message ?? (stderr.trim().split('\n').at(-1) || failure.message);
    throw new PeerError(`onnxruntime-node: ${reason}. Run: npm ${command.join(' ')}`);
  }
}
