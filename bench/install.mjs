#!/usr/bin/env node
// How long `npm install` of the packed tarballs into an empty folder takes, and what then lies there:
// `npm run release:pack`, then `node bench/install.mjs [--release FOLDER] [--runs 3] [--json] [--write]`
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { withInstallation } from './report.mjs';
import { alternate } from './statistics.mjs';

const DOCUMENT = new URL('../docs/benchmarks.md', import.meta.url);
const PACKAGES = ['m3l', '@m3l/linux-x64', '@m3l/libtorch-linux-x64'];
const { values } = parseArgs({
  options: {
    release: { type: 'string', default: fileURLToPath(new URL('../release', import.meta.url)) },
    runs: { type: 'string', default: '3' },
    json: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
  },
});

/** The tarball of each of PACKAGES. */
function tarballs(folder) {
  const names = existsSync(folder) ? readdirSync(folder) : [];
  const found = PACKAGES.map((name) => {
    const start = `${name.replace('@', '').replace('/', '-')}-`;
    return names.find(
      (file) => file.startsWith(start) && /^\d.*\.tgz$/.test(file.slice(start.length)),
    );
  });
  const missing = PACKAGES.filter((_, at) => found[at] === undefined);
  if (missing.length === 0) return found.map((name) => join(folder, name));
  console.error(`install: ${folder} has no tarball of ${missing.join(', ')}: npm run release:pack`);
  process.exit(2);
}

/** Bytes of the files below a folder, each once. */
function bytesBelow(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce(
      (sum, entry) => sum + statSync(join(entry.parentPath ?? entry.path, entry.name)).size,
      0,
    );
}

/** Seconds of an install into an empty folder, which is left at `project`. */
function install(files, project, cache) {
  rmSync(project, { recursive: true, force: true });
  mkdirSync(project);
  const start = performance.now();
  const { status, stderr } = spawnSync('npm', ['install', '--no-audit', '--no-fund', ...files], {
    cwd: project,
    env: { ...process.env, npm_config_cache: cache, npm_config_prefer_offline: 'true' },
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`npm install: ${stderr}`);
  return (performance.now() - start) / 1000;
}

const files = tarballs(resolve(values.release));
const folder = mkdtempSync(join(tmpdir(), 'm3l-install-bench-'));
try {
  const project = join(folder, 'project');
  const [empty, filled] = ['empty', 'filled'].map((name) => join(folder, name));
  install(files, project, filled);
  const seconds = await alternate(Number(values.runs), {
    cold() {
      rmSync(empty, { recursive: true, force: true });
      return install(files, project, empty);
    },
    warm: () => install(files, project, filled),
  });
  const modules = join(project, 'node_modules');
  const total = bytesBelow(modules);
  const packages = PACKAGES.map((name, at) => ({
    name,
    packed: statSync(files[at]).size,
    unpacked: bytesBelow(join(modules, name)),
  }));
  const others = total - packages.reduce((sum, { unpacked }) => sum + unpacked, 0);
  const npm = spawnSync('npm', ['--version'], { encoding: 'utf8' }).stdout.trim();
  const result = { runs: Number(values.runs), npm, seconds, packages, others, total };
  if (values.json) console.log(JSON.stringify(result));
  else console.log(withInstallation('', result).trim());
  if (values.write)
    writeFileSync(DOCUMENT, withInstallation(readFileSync(DOCUMENT, 'utf8'), result));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
