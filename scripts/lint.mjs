// Formatting, lint, layers, file lengths, C++: everything that reads the sources and runs none.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { firstInstalled } from './tools.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const LONGEST_FILE = 400;
const HAND_WRITTEN = ['ts', 'tsx', 'css', 'mjs', 'cpp', 'h', 'cu', 'cuh', 'py'].map(
  (ending) => `*.${ending}`,
);

/** @param {string} program @param {string[]} args */
function run(program, args) {
  const { status, error } = spawnSync(program, args, { cwd: root, stdio: ['ignore', 2, 2] });
  if (error !== undefined) console.error(String(error));
  return status === 0;
}

/** @param {...string} patterns */
function tracked(...patterns) {
  const args = ['ls-files', '--cached', '--others', '--exclude-standard', '--', ...patterns];
  const { stdout } = spawnSync('git', args, { cwd: root, encoding: 'utf8' });
  return stdout.split('\n').filter((path) => path !== '');
}

function fileLengths() {
  const hand = tracked(...HAND_WRITTEN).filter((path) => !path.includes('/generated/'));
  const long = hand
    .map((path) => ({ path, lines: readFileSync(`${root}${path}`, 'utf8').split('\n').length - 1 }))
    .filter(({ lines }) => lines > LONGEST_FILE);
  for (const { path, lines } of long) {
    console.error(`${path}: ${lines} lines, at most ${LONGEST_FILE}: split it`);
  }
  return long.length === 0;
}

function clangFormat() {
  const program = firstInstalled('clang-format-19', 'clang-format');
  if (program === undefined) {
    console.error(
      'lint: clang-format skipped, it is not installed (apt-get install clang-format-19)',
    );
    return true;
  }
  const sources = ['cpp', 'h', 'cu', 'cuh'].map((ending) => `binding/*.${ending}`);
  return run(program, ['--dry-run', '--Werror', ...tracked(...sources)]);
}

/** @type {Record<string, () => boolean>} */
const checks = {
  biome: () => run(`${root}node_modules/.bin/biome`, ['check', '--error-on-warnings', '.']),
  layers: () =>
    run(`${root}node_modules/.bin/depcruise`, ['lib', '--config', '.dependency-cruiser.cjs']),
  'file lengths': fileLengths,
  'clang-format': clangFormat,
};

export function lint() {
  return Object.entries(checks).map(([name, check]) => ({ name: `lint: ${name}`, ok: check() }));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const results = lint();
  for (const { name, ok } of results) console.error(`${ok ? 'ok  ' : 'FAIL'} ${name}`);
  process.exit(results.every(({ ok }) => ok) ? 0 : 1);
}
