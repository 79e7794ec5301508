// Results for people: a table in the terminal, and docs/benchmarks.md.
import { spawnSync } from 'node:child_process';
import { cpus, loadavg } from 'node:os';
import { torch } from '../dist/index.js';

/** Of the minute before the first case: well above 0, other work disturbed the figures. */
const LOAD = loadavg()[0].toFixed(1);

const HEADINGS = ['case', 'ours', 'peer', 'ours / peer', 'peer with our malloc', 'target', ''];

function rows(results) {
  return results.map(({ name, ours, peer, tunedPeer, ratio, unit, target, ok, lossError }) => [
    name,
    `${number(ours)} ${unit}`,
    `${number(peer)} ${unit}`,
    number(ratio),
    tunedPeer === undefined
      ? ''
      : `${number(tunedPeer)} ${unit} (ratio ${number(ours / tunedPeer)})`,
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

const row = (cells) => `| ${cells.join(' | ')} |`;

/** What `bench/cost-curve.mjs` writes begins here, and stays when the table is written anew. */
const CURVE = '## Cost curve';

/** A text of docs/benchmarks.md with its cost curve replaced. */
export function withCurve(text, points) {
  const kept = text.split(CURVE)[0].trimEnd();
  const headings = ['what varies', 'time a step', 'peak memory'];
  return `${kept}

${CURVE}

Written by \`node bench/cost-curve.mjs --write\` (${when()}): our M3L step, Linear Fusion MiT-B0, fp32,
around 128², L = U = 2, 13 classes, two modalities. The time is the median of a fresh process's steps
but the first, the memory its peak RSS above that before the networks were made.

${row(headings)}
${row(headings.map(() => '---'))}
${points.map(({ name, ms, megabytes }) => row([name, `${number(ms)} ms`, `${number(megabytes)} MB`])).join('\n')}
`;
}

function when() {
  const date = new Date().toISOString().slice(0, 10);
  return `${date}, ${commit()}, ${torch.getNumThreads()} threads, load before ${LOAD}`;
}

/** The whole of docs/benchmarks.md, with the cost curve of the text `before`. */
export function markdown(results, before = '') {
  const curve = before.includes(CURVE) ? `\n${before.slice(before.indexOf(CURVE))}` : '';
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
${curve}`;
}

function commit() {
  const git = (...args) => spawnSync('git', args, { encoding: 'utf8' }).stdout?.trim();
  const changed = git('status', '--porcelain', '--', 'lib', 'binding', 'bench');
  return `${git('rev-parse', '--short', 'HEAD') || 'none'}${changed ? ' with changes' : ''}`;
}
