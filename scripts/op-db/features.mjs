/** docs/FEATURES.md: how far PyTorch's operator database comes out equal, by capability and operator. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { libtorch } from '../../dist/torch/native.js';
import { markdownTable } from '../markdown.mjs';

const file = fileURLToPath(new URL('../../docs/FEATURES.md', import.meta.url));
const gpuFile = fileURLToPath(new URL('../../docs/gpu-operators.json', import.meta.url));

/** What scripts/gpu-report.mjs has kept of a run on a GPU; null without one. */
export function gpuOutcomes() {
  return existsSync(gpuFile) ? JSON.parse(readFileSync(gpuFile, 'utf8')) : null;
}

/** Capabilities by the name in PyTorch, the first that fits. */
const CAPABILITIES = [
  ['`torch.linalg`', /^linalg\./],
  ['`torch.fft`', /^fft\./],
  ['`torch.special`', /^special\./],
  ['`torch.masked`', /^masked\./],
  ['`torch.signal.windows`', /^signal\./],
  ['`torch.sparse` and sparse tensors', /^sparse\.|to_sparse/],
  ['`nn.functional`', /^nn\.functional\./],
  ['numbers before tensors: `torch.sub(1, x)` for `1 - x`', /^__r/],
  ['indexing: `x.at(…)` for `x[…]`', /^__getitem__|^index_|^take|^gather|^scatter|^masked_|^put$/],
  [
    'conversions: `x.float()`',
    /^(c?float|c?double|half|chalf|bfloat16|bool|byte|char|int|long|short|to)$/,
  ],
  [
    'random numbers',
    /^(rand|bernoulli|multinomial|normal|cauchy|exponential|geometric|log_normal|uniform)/,
  ],
  [
    'tensors made',
    /^(new_|empty|zeros|ones|full|eye|arange|linspace|logspace|scalar_tensor|tri.*indices)/,
  ],
  ['operators without a public name, by `torch.ops.aten`', /^_|^torch\.|native|jiterator/],
  ['all others: arithmetic, reductions, shapes, comparisons', /./],
];

/** @param gpu the outcomes on a GPU by operator, as scripts/gpu-report.mjs keeps them; null where none ran */
export function featuresPage(outcomes, version, gpu = null) {
  const onGpu = (name) => gpu?.[name] ?? 'no';
  const left = outcomes.filter(({ status }) => status === 'left out');
  const replayed = outcomes.filter(({ status }) => status !== 'left out');
  const others = replayed.filter(({ status }) => status !== 'equal');
  return [
    '# Features',
    '',
    'Written by `node scripts/op-db/main.mjs --features`; do not edit. The calls of',
    `PyTorch's own operator database (libtorch ${version}, float32, or int64, bool, complex64 where that is unsupported)`,
    'were made in Python by `scripts/golden/op-db.py`, and here through the public API; results, the names of',
    'the fields of several results, and gradients are compared (relative 2e-5, absolute 1e-5).',
    '',
    `**${count(replayed, 'equal')} of ${replayed.length} operators are equal** (${percent(count(replayed, 'equal'), replayed.length)}), in`,
    `${sum(replayed, 'equal')} of ${sum(replayed, 'samples')} samples, with gradients in ${sum(replayed, 'gradients')};`,
    `${count(replayed, 'wrong')} give something else, ${count(replayed, 'refused')} are refused, ${count(replayed, 'crashed')} end the process.`,
    '',
    markdownTable(
      ['capability', 'operators', 'equal', 'samples', 'with gradients', 'ran on a GPU'],
      capabilities(replayed, gpu),
    ),
    '',
    `## Not equal (${others.length})`,
    '',
    markdownTable(
      ['operator', 'status', 'reason'],
      others.map(({ name, status, detail }) => [`\`${name}\``, status, cell(detail)]),
    ),
    '',
    `## Left out (${left.length})`,
    '',
    'These have no call that could be made here.',
    '',
    markdownTable(
      ['operator', 'reason'],
      left.map(({ name, detail }) => [`\`${name}\``, cell(detail)]),
    ),
    '',
    '## Operators',
    '',
    markdownTable(
      ['in PyTorch', 'here', 'status', 'samples', 'ran on a GPU'],
      replayed.map(({ name, forms, status, equal, samples }) => [
        `\`${name}\``,
        forms.map((form) => `\`${form}\``).join(', '),
        status,
        `${equal ?? 0} of ${samples}`,
        onGpu(name),
      ]),
    ),
    '',
  ].join('\n');
}

export function writeFeatures(outcomes) {
  writeFileSync(
    file,
    featuresPage(outcomes, libtorch().version.replace(/\+.*/, ''), gpuOutcomes()),
  );
  console.log(`wrote ${file}`);
}

function capabilities(replayed, gpu) {
  const rest = [...replayed];
  return CAPABILITIES.map(([title, pattern]) => {
    const own = rest.filter(({ name }) => pattern.test(name));
    for (const outcome of own) rest.splice(rest.indexOf(outcome), 1);
    const sums = ['samples', 'gradients'].map((key) => sum(own, key));
    const there = own.filter(({ name }) => gpu?.[name] === 'equal').length;
    return [
      title,
      own.length,
      count(own, 'equal'),
      ...sums,
      gpu === null ? 'no' : `${there} equal`,
    ];
  });
}

const count = (list, status) => list.filter((outcome) => outcome.status === status).length;
const sum = (list, key) => list.reduce((total, outcome) => total + (outcome[key] ?? 0), 0);
const percent = (part, whole) => `${((100 * part) / whole).toFixed(1)} %`;

/** One line, without what a table would end at. */
function cell(text) {
  return text.replace(/\s+/g, ' ').replaceAll('|', '\\|').slice(0, 200);
}
