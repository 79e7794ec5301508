// Compiles lib/ to dist/ when a source (in lib/ or types/) is newer than the last compilation.
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  readdirSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

function newestSource() {
  const times = ['lib', 'types']
    .flatMap((name) => readdirSync(join(root, name), { withFileTypes: true, recursive: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => statSync(join(entry.parentPath ?? entry.path, entry.name)).mtimeMs);
  return Math.max(statSync(join(root, 'tsconfig.json')).mtimeMs, ...times);
}

/** A compiled file whose source is gone would still be imported by name. */
function removeOrphans() {
  for (const entry of readdirSync(join(root, 'dist'), { withFileTypes: true, recursive: true })) {
    const path = join(entry.parentPath ?? entry.path, entry.name);
    const source = path.replace(join(root, 'dist'), join(root, 'lib'));
    const sources = [source, source.replace(/(\.d\.ts|\.js)$/, '.ts')];
    if (entry.isFile() && /(\.d\.ts|\.js)$/.test(path) && !sources.some(existsSync)) rmSync(path);
  }
}

/** What was written as JavaScript beside its declarations: tsc reads these, and takes neither along. */
function copyDeclared() {
  for (const path of readdirSync(join(root, 'lib'), { recursive: true, encoding: 'utf8' })) {
    if (!path.endsWith('.d.ts')) continue;
    for (const file of [path, path.replace(/\.d\.ts$/, '.js')]) {
      copyFileSync(join(root, 'lib', file), join(root, 'dist', file));
    }
  }
}

/** @param {{ log?: (line: string) => void }} [options] */
export function buildLibrary({ log = console.error } = {}) {
  const stamp = join(root, 'dist', '.built');
  if (existsSync(stamp) && statSync(stamp).mtimeMs > newestSource()) return;
  log('compiling lib/ (TypeScript)');
  const started = new Date();
  const { status } = spawnSync(
    process.execPath,
    [join(root, 'node_modules/typescript/bin/tsc'), '-p', root],
    { cwd: root, stdio: ['ignore', 2, 2] },
  );
  if (status !== 0) {
    throw Object.assign(new Error('lib/ does not compile: see the errors above'), {
      code: 'M3L_COMPILE',
    });
  }
  copyDeclared();
  removeOrphans();
  chmodSync(join(root, 'dist/cli/main.js'), 0o755);
  writeFileSync(stamp, '');
  // The time before the compilation: a source saved during it is newer.
  utimesSync(stamp, started, started);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) buildLibrary();
