// Results for people: a table in the terminal, and docs/benchmarks.md.
import { spawnSync } from 'node:child_process';
import { cpus, loadavg } from 'node:os';
import { torch } from '../dist/index.js';
import { markdownTable } from '../scripts/markdown.mjs';

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

/** A ratio to nothing is no number. */
function number(value) {
  if (value === null) return '–';
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

/** Replaces a section of docs/benchmarks.md, or adds it at the end. Sections begin with `## `. */
function withSection(text, heading, body) {
  const [table, ...sections] = text.split(/^(?=## )/m);
  const others = sections.filter((section) => !section.startsWith(`## ${heading}\n`));
  const own = `## ${heading}\n\n${body.trim()}\n`;
  return `${[table, ...others, own].map((part) => part.trimEnd()).join('\n\n')}\n`;
}

/** A text of docs/benchmarks.md with a section of some cases replaced. */
export function withCases(text, heading, results, only) {
  const command = `npm run bench -- ${only.map((name) => `--only ${name}`).join(' ')}`;
  return withSection(
    text,
    heading,
    `
Written by \`${command} --section '${heading}' --write\`
(${when()}, ${processors()}).

${markdownTable(HEADINGS, rows(results))}

${titles(results)}`,
  );
}

/** A text of docs/benchmarks.md with its cost curve replaced. */
export function withCurve(text, points) {
  const lines = points.map(({ name, ms, megabytes }) => [
    name,
    `${number(ms)} ms`,
    `${number(megabytes)} MB`,
  ]);
  return withSection(
    text,
    'Cost curve',
    `
Written by \`node bench/cost-curve.mjs --write\` (${when()}): our M3L step, Linear Fusion MiT-B0, fp32,
around 128², L = U = 2, 13 classes, two modalities. The time is the median of a fresh process's steps
but the first, the memory its peak RSS above that before the networks were made.

${markdownTable(['what varies', 'time a step', 'peak memory'], lines)}`,
  );
}

/** A text of docs/benchmarks.md with its section on installing replaced. */
export function withInstallation(text, { runs, npm, seconds, packages, others, total }) {
  const megabytes = (bytes) => `${number(bytes / 1e6)} MB`;
  return withSection(
    text,
    'Installing',
    `
Written by \`node bench/install.mjs --write\` (${when()}): \`npm install\` (${npm}) of the three packed
tarballs into an empty folder takes ${number(seconds.cold)} s with an empty npm cache and ${number(seconds.warm)} s with a filled one
(medians of ${runs}, alternating).

${markdownTable(
  ['package', 'tarball', 'on disk'],
  [
    ...packages.map(({ name, packed, unpacked }) => [
      `\`${name}\``,
      megabytes(packed),
      megabytes(unpacked),
    ]),
    ['what they depend on', '', megabytes(others)],
    ['all', '', megabytes(total)],
  ],
)}`,
  );
}

/** A text of docs/benchmarks.md with its profiles replaced. */
export function withProfiles(text, profiles) {
  const one = ({ name, title, ms, operators }) => `
### \`${name}\`: ${title}

${number(ms)} ms:

${markdownTable(
  ['operator', 'calls', 'ms in it', 'share'],
  operators.map(({ name, calls, ms: own, share }) => [
    `\`${name}\``,
    number(calls),
    own.toFixed(2),
    `${(100 * share).toFixed(1)} %`,
  ]),
)}`;
  return withSection(
    text,
    'Where the time goes',
    `
Written by \`node bench/profile.mjs --write\` (${when()}), with \`torch.profile()\`: the operators that
take most, without those they call, the backward's included.
${profiles.map(one).join('\n')}`,
  );
}

function when() {
  const date = new Date().toISOString().slice(0, 10);
  return `${date}, ${commit()}, ${torch.getNumThreads()} threads, load before ${LOAD}`;
}

/** The whole of docs/benchmarks.md, with the sections of the text `before`. */
export function markdown(results, before = '') {
  const sections = before.split(/^(?=## )/m).slice(1);
  return `# Benchmarks

Written by \`npm run bench -- --write\`; do not edit. Each case and its peer ran alternately, each in
a process of its own, swapping who goes first; the figures are medians, and what counts is their ratio on
this machine (below 1: ours is faster or smaller). The peers are PyTorch eager, in \`bench/peers\`.

${markdownTable(
  ['date', 'commit', 'machine', 'load before', 'threads', 'Node.js', 'libtorch and PyTorch'],
  [
    [
      new Date().toISOString().slice(0, 10),
      commit(),
      processors(),
      LOAD,
      String(torch.getNumThreads()),
      process.version,
      torch.version(),
    ],
  ],
)}

${markdownTable(HEADINGS, rows(results))}

What the cases are:

${titles(results)}

Again: \`npm run bench [-- --only NAME] [--runs N] [--json] [--section HEADING] [--write]\`. The exit code is 1 where a
target is missed.
${sections.map((section) => `\n${section.trimEnd()}\n`).join('')}`;
}

const titles = (results) =>
  results.map(({ name, title, runs }) => `- \`${name}\`: ${title}. Median of ${runs}.`).join('\n');

const processors = () => `${cpus().length} × ${cpus()[0]?.model.trim() ?? 'unknown processor'}`;

function commit() {
  const git = (...args) => spawnSync('git', args, { encoding: 'utf8' }).stdout?.trim();
  const changed = git('status', '--porcelain', '--', 'lib', 'binding', 'bench');
  return `${git('rev-parse', '--short', 'HEAD') || 'none'}${changed ? ' with changes' : ''}`;
}
