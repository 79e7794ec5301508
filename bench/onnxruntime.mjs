// onnxruntime-node, which is large and no dependency of the package: installed by npm into the cache.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
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
    mkdirSync(cacheFolder(), { recursive: true });
  }
  // Whole or not at all: several tests may want it at once.
  const aside = mkdtempSync(`${folder}-`);
  // Its script would fetch CUDA libraries; the CPU's are in the package.
  const command = ['install', '--prefix', aside, '--no-save', '--ignore-scripts', PACKAGE];
  const { status, stderr, error } = spawnSync('npm', command, { encoding: 'utf8' });
  try {
    if (status === 0) putInPlace(aside, folder, load);
    return load();
  } catch (failure) {
    const reason = error?.message ?? (stderr.trim().split('\n').at(-1) || failure.message);
    throw new PeerError(`onnxruntime-node: ${reason}. Run: npm ${command.join(' ')}`);
  } finally {
    rmSync(aside, { recursive: true, force: true });
  }
}

/** Renames a folder to another, unless somebody was faster; what is there and does not load goes. */
function putInPlace(from, to, load) {
  try {
    renameSync(from, to);
  } catch {
    try {
      load();
    } catch {
      rmSync(to, { recursive: true, force: true });
      renameSync(from, to);
    }
  }
}
