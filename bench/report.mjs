// Results for people: a table in the terminal, and docs/benchmarks.md.
import { spawnSync } from 'node:child_process';
import { cpus, loadavg } from 'node:os';
import { torch } from '../dist/index.js';

/** Of the minute before the first case: well above 0, other work disturbed the figures. */
const LOAD = loadavg()[0].toFixed(1);

const HEADINGS = ['case', 'ours', 'peer', 'ours / peer', 'target', ''];

function rows(results) {
  return results.map(({ name, ours, peer, ratio, unit, target, ok, lossError }) => [
    name,
    `${number(ours)} ${unit}`,
    `${number(peer)} ${unit}`,
    number(ratio),
    (target.ratio !== undefined
      ? `≤ ${Number(target.ratio.toPrecision(3))} ×`
      : `≤ ${target.ours} ${unit}`) +
      (lossError === undefined ? '' : `, loss off by ${lossError.toExponential(1)}`),
    ok ? 'met' : 'MISSED',
  ]);
}

function number(value) {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

/** The results as aligned columns. */
export function table(results) {
  const lines = [HEADINGS, ...rows(results)];
  const widths = HEADINGS.map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  return lines
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column]))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** The whole of docs/benchmarks.md. */
export function markdown(results) {
  const row = (cells) => `| ${cells.join(' | ')} |`;
  return `# Benchmarks

Written by \`npm run bench -- --write\`; do not edit. Each case and its peer ran in one process tree,
alternating and swapping who goes first; the figures are medians, and what counts is their ratio on
this machine (below 1: ours is faster or smaller). The peers are PyTorch eager, in \`bench/peers\`.

${row(['date', 'commit', 'machine', 'load before', 'threads', 'Node.js', 'libtorch and PyTorch'])}
${row(Array(7).fill('---'))}
${row([
  new Date().toISOString().slice(0, 10),
  commit(),
  `${cpus().length} × ${cpus()[0]?.model.trim() ?? 'unknown processor'}`,
  LOAD,
  String(torch.getNumThreads()),
  process.version,
  torch.version(),
])}

${row(HEADINGS)}
${row(HEADINGS.map(() => '---'))}
${rows(results).map(row).join('\n')}

What the cases are:

${results.map(({ name, title, runs }) => `- \`${name}\`: ${title}. Median of ${runs}.`).join('\n')}

Again: \`npm run bench [-- --only NAME] [--runs N] [--json] [--write]\`. The exit code is 1 where a
target is missed.
`;
}

function commit() {
  const git = (...args) => spawnSync('git', args, { encoding: 'utf8' }).stdout?.trim();
  const changed = git('status', '--porcelain', '--', 'lib', 'binding', 'bench');
  return `${git('rev-parse', '--short', 'HEAD') || 'none'}${changed ? ' with changes' : ''}`;
}
