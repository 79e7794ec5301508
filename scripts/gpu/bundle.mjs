// npm run gpu:bundle: makes .gpu/, which git ignores and which, carried along with the working tree, is all that a
// bare machine with a CUDA device, PyTorch, nvcc and CMake lacks: Node, the packages, the compiled library, and the
// check. There, in the root of the tree: bash .gpu/check.sh. See docs/gpu.md.
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { firstLine, which } from '../tools.mjs';
import { modulesToBring } from './files.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = join(root, '.gpu');
/** What a lent machine takes of a working tree, .gpu/ with it. */
const MOST_MIB = 64;
const SCRIPTS = ['check.sh', 'check.py', 'twin.py', 'twin_times.py'];

/** @param {string} program @param {string[]} args @param {string} [input] */
function run(program, args, input) {
  const { status, error } = spawnSync(program, args, {
    cwd: root,
    input,
    stdio: [input === undefined ? 'ignore' : 'pipe', 'inherit', 'inherit'],
  });
  if (status !== 0) throw new Error(`${program} ${args[0]} failed: ${error?.message ?? status}`);
}

/** @param {string} text */
function fail(text) {
  console.error(`gpu:bundle: ${text}`);
  process.exit(1);
}

/** @param {string} file */
const size = (file) => statSync(file).size / 2 ** 20;

/** MiB of what git tracks, and of what it neither tracks nor ignores: it travels too. */
function treeSize() {
  const { stdout } = spawnSync(
    'git',
    ['ls-files', '-z', '--cached', '--others', '--exclude-standard'],
    {
      cwd: root,
      encoding: 'utf8',
      maxBuffer: 2 ** 26,
    },
  );
  return stdout
    .split('\0')
    .filter((name) => name !== '' && existsSync(join(root, name)))
    .reduce((sum, name) => sum + size(join(root, name)), 0);
}

const started = performance.now();
if (!existsSync(join(root, 'dist', 'index.js'))) fail('dist/ is not built: npm run setup');
for (const tool of ['tar', 'xz']) if (!which(tool)) fail(`there is no ${tool}: install it`);
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder);
for (const name of SCRIPTS) copyFileSync(join(root, 'scripts', 'gpu', name), join(folder, name));
const commit = firstLine('git', ['-C', root, 'describe', '--always', '--dirty', '--exclude', '*']);
writeFileSync(join(folder, 'commit'), `${commit ?? 'unknown'}\n`);

const node = join(folder, 'node');
copyFileSync(process.execPath, node);
if (which('strip')) run('strip', [node]);
run('xz', ['-4', '-T2', node]);
const list = ['dist', ...modulesToBring(root)].join('\n');
const modules = join(folder, 'modules.tar.xz');
// Links are followed: node_modules may lie elsewhere.
run('tar', ['-chf', modules, '-I', 'xz -4 -T2', '-T', '-'], list);

const parts = { node: size(`${node}.xz`), modules: size(modules), tree: treeSize() };
const total = Object.values(parts).reduce((sum, part) => sum + part, 0);
const shown = Object.entries(parts).map(([name, mib]) => `${name} ${mib.toFixed(1)}`);
const seconds = ((performance.now() - started) / 1000).toFixed(0);
console.log(
  `${dirname(modules)}: ${total.toFixed(1)} MiB with the tree (${shown.join(', ')}), ${seconds} s`,
);
if (total > MOST_MIB) fail(`that is more than the ${MOST_MIB} MiB that a lent machine takes`);
console.log('There, in the root of the tree: bash .gpu/check.sh');
