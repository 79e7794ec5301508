// Compiles lib/ to dist/ when a source (in lib/ or types/) is newer than the last compilation.
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
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

/** What m3l view serves: bundled, of its own sources. */
const page = join(root, 'dist', 'view', 'page', '/');

/** A compiled file whose source is gone would still be imported by name. */
function removeOrphans() {
  for (const entry of readdirSync(join(root, 'dist'), { withFileTypes: true, recursive: true })) {
    const path = join(entry.parentPath ?? entry.path, entry.name);
    const source = path.replace(join(root, 'dist'), join(root, 'lib'));
    const sources = [source, source.replace(/(\.d\.ts|\.js)$/, '.ts')];
    if (path.startsWith(page)) continue;
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

/** Compiles with one of the projects; types alone where it says so. @param {string} project */
function compile(project) {
  const { status } = spawnSync(
    process.execPath,
    [join(root, 'node_modules/typescript/bin/tsc'), '-p', project],
    { cwd: root, stdio: ['ignore', 2, 2] },
  );
  if (status === 0) return;
  throw Object.assign(new Error('lib/ does not compile: see the errors above'), {
    code: 'M3L_COMPILE',
  });
}

/** One script and one style sheet, with all that they need in them. */
function bundlePage() {
  const from = join(root, 'lib', 'view', 'page');
  compile(from);
  // Only here: a clone's first script runs before there is anything to import.
  const { buildSync } = createRequire(import.meta.url)('esbuild');
  buildSync({
    entryPoints: { page: join(from, 'main.tsx') },
    outdir: page,
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    legalComments: 'none',
    jsx: 'automatic',
    jsxImportSource: 'preact',
    logLevel: 'warning',
  });
  const licences = ['preact', 'uplot'].map((name) => {
    return `${name}\n\n${readFileSync(join(root, 'node_modules', name, 'LICENSE'), 'utf8')}`;
  });
  writeFileSync(join(page, 'licences.txt'), licences.join('\n'));
  for (const name of ['index.html', 'icon.svg']) copyFileSync(join(from, name), join(page, name));
}

/** @param {{ log?: (line: string) => void }} [options] */
export function buildLibrary({ log = console.error } = {}) {
  const stamp = join(root, 'dist', '.built');
  if (existsSync(stamp) && statSync(stamp).mtimeMs > newestSource()) return;
  log('compiling lib/ (TypeScript)');
  const started = new Date();
  compile(root);
  bundlePage();
  copyDeclared();
  removeOrphans();
  chmodSync(join(root, 'dist/cli/main.js'), 0o755);
  writeFileSync(stamp, '');
  // The time before the compilation: a source saved during it is newer.
  utimesSync(stamp, started, started);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) buildLibrary();
