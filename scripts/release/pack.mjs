// npm run release:pack: every package's tarball into release/, from a clean tree; nothing is published.
//
//     npm run release:pack [-- --allow-dirty] [--any-glibc] [--libtorch FOLDER] [--out FOLDER] [--json]
//
// Packs what build/native holds: npm run build:addon -- --sysroot "$(node scripts/release/sysroot.mjs)"
// fills it, for every Linux since Debian 11.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { CUDA_FILES, outdatedBuilds } from '../build-addon.mjs';
import { buildLibrary } from '../build-lib.mjs';
import { home, install } from '../libtorch.mjs';
import { stageLibrary, stageLibtorch, stageNative } from './packages.mjs';
import { needsOfAll } from './symbols.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const native = join(root, 'build', 'native');

/** Bytes that a tarball may have; what is above was packed by mistake. @type {Record<string, number>} */
const LARGEST = {
  // The comments of 1,107 generated functions are 130 kB of it.
  m3l: 950_000,
  // 2.7 MB without the CUDA kernels of 2.14, which hold code for two architectures and PTX.
  '@m3l/linux-x64': 6_000_000,
  '@m3l/libtorch-linux-x64': 150_000_000,
};

class PackError extends Error {}

const { values: given } = parseArgs({
  options: {
    'allow-dirty': { type: 'boolean', default: false },
    'any-glibc': { type: 'boolean', default: false },
    libtorch: { type: 'string' },
    out: { type: 'string', default: join(root, 'release') },
    json: { type: 'boolean', default: false },
  },
});

function refuseDirty() {
  const { status, stdout } = spawnSync('git', ['status', '--porcelain'], {
    cwd: root,
    encoding: 'utf8',
  });
  if (status !== 0) throw new PackError('git status does not run: pack from a clone');
  const changed = stdout.split('\n').filter((line) => line !== '');
  if (changed.length === 0) return;
  const shown = changed.slice(0, 5).join(', ');
  throw new PackError(
    `the tree has ${changed.length} changes (${shown}): commit them, or give --allow-dirty`,
  );
}

function refuseUnfitNatives() {
  const roots = existsSync(native) ? readdirSync(native) : [];
  const missing = ['loader', 'image'].filter((name) => !roots.includes(name));
  if (!roots.some((name) => name.startsWith('torch-'))) missing.push('torch-*');
  if (missing.length > 0) {
    throw new PackError(`${native} lacks ${missing.join(', ')}: run npm run build:addon`);
  }
  const outdated = outdatedBuilds();
  if (outdated.length > 0) {
    throw new PackError(
      `${outdated.join(', ')} in ${native} are of other sources: run npm run build:addon`,
    );
  }
  if (given['any-glibc']) return;
  const above = needsOfAll([native]).filter((needs) => needs.above.length > 0);
  if (above.length === 0) return;
  const told = above.map((needs) => `${relative(native, needs.file)}: ${needs.above.join(', ')}`);
  throw new PackError(
    `built on too new a system: ${told.join('; ')}. Run: npm run build:addon -- --sysroot "$(node scripts/release/sysroot.mjs)"; or give --any-glibc`,
  );
}

/** What `m3l libtorch install --variant cu130` gives has CUDA: so must have what is built for it. */
async function refuseWithoutCuda() {
  const { PINS } = await import('../../dist/libtorch/pins.js');
  const { version } = PINS.cu130;
  const minor = version.split('.', 2).join('.');
  const folder = join(native, `torch-${minor}`);
  if (!existsSync(folder)) return;
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) =>
    basename(name),
  );
  const missing = CUDA_FILES.filter((name) => !files.includes(name));
  if (missing.length === 0) return;
  throw new PackError(
    `${folder} lacks ${missing.join(' and ')}: it was built without CUDA. Build it for libtorch ${version}, with nvcc on the PATH: ` +
      'npx m3l libtorch install --variant cu130 --with-headers, then npm run build:addon with its folder',
  );
}

/** @param {string} folder the staged package @param {string} out */
function pack(folder, out) {
  const { status, stdout, stderr } = spawnSync(
    'npm',
    ['pack', '--json', '--ignore-scripts', '--pack-destination', out],
    { cwd: folder, encoding: 'utf8', maxBuffer: 1 << 26 },
  );
  if (status !== 0) throw new PackError(`npm pack in ${folder}: ${stderr.trim()}`);
  const [{ name, version, filename, unpackedSize, entryCount }] = JSON.parse(stdout);
  const file = join(out, filename);
  const bytes = statSync(file).size;
  if (bytes > LARGEST[name]) {
    throw new PackError(`${file} has ${bytes} bytes, at most ${LARGEST[name]} are expected`);
  }
  const sha256 = createHash('sha256').update(readFileSync(file)).digest('hex');
  return { name, version, file, bytes, unpackedBytes: unpackedSize, files: entryCount, sha256 };
}

/**
 * The same from the cache where it was packed before: half a gigabyte takes a minute to compress.
 * @param {string} folder @param {string} out
 */
function packOnce(folder, out) {
  const library = join(folder, 'lib', 'libtorch_cpu.so');
  if (!existsSync(library)) return pack(folder, out);
  const hash = createHash('sha256');
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort()) {
    const file = join(folder, name);
    const { size, mtimeMs } = statSync(file);
    const large = size > 1e6;
    hash.update(`${name}\0${size}\0${large ? mtimeMs : ''}\0`);
    if (!large && statSync(file).isFile()) hash.update(readFileSync(file));
  }
  const cache = join(home(), 'packed', hash.digest('hex').slice(0, 32));
  const facts = join(cache, 'packed.json');
  if (!existsSync(facts)) {
    // Whole when it gets its name: another may pack the same at the same time.
    const unfinished = `${cache}-${process.pid}`;
    mkdirSync(unfinished, { recursive: true });
    writeFileSync(join(unfinished, 'packed.json'), JSON.stringify(pack(folder, unfinished)));
    try {
      renameSync(unfinished, cache);
    } catch (error) {
      if (!existsSync(facts)) throw error;
      rmSync(unfinished, { recursive: true });
    }
  }
  const packed = JSON.parse(readFileSync(facts, 'utf8'));
  const name = basename(packed.file);
  const file = join(out, name);
  copyFileSync(join(cache, name), file);
  return { ...packed, file };
}

async function main() {
  if (!given['allow-dirty']) refuseDirty();
  refuseUnfitNatives();
  buildLibrary();
  await refuseWithoutCuda();
  const libtorch = resolve(given.libtorch ?? (await install({ variant: 'cpu' })));
  const out = resolve(given.out);
  const stage = join(out, 'stage');
  rmSync(out, { recursive: true, force: true });
  mkdirSync(stage, { recursive: true });
  const staged = [
    stageLibrary(join(stage, 'm3l')),
    stageNative(join(stage, 'linux-x64'), native, libtorch),
    stageLibtorch(join(stage, 'libtorch-linux-x64'), libtorch),
  ];
  const packed = staged.map((folder) => packOnce(folder, out));
  rmSync(stage, { recursive: true });
  if (given.json) console.log(JSON.stringify({ packages: packed }, null, 2));
  else {
    for (const { file, bytes, unpackedBytes, sha256 } of packed) {
      const [small, large] = [bytes, unpackedBytes].map((size) => (size / 1e6).toFixed(2));
      console.log(
        `${relative(process.cwd(), file)}  ${small} MB, ${large} MB unpacked\n  sha256 ${sha256}`,
      );
    }
  }
}

try {
  await main();
} catch (error) {
  const expected = error instanceof Error && (error instanceof PackError || 'code' in error);
  console.error(expected ? `release:pack: ${error.message}` : error);
  process.exitCode = 1;
}
