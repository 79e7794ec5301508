// node scripts/gpu-report.mjs [results.json]: writes what .gpu/check.sh found on a machine with a GPU into
// docs/gpu.md, and which operators were equal there into docs/gpu-operators.json, from which docs/FEATURES.md has
// its column. Without results the note says that there are none. No figure comes from anywhere else.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { withBetween } from './between-markers.mjs';
import { markdownTable } from './markdown.mjs';

const NONE = 'Not run on a GPU yet: there are no figures.';

/**
 * @typedef {{ name: string, ours: number, peer: number, ratio: number, unit: string, withoutGraph?: number,
 *   lossError?: number, peakBytes?: number, peerPeakBytes?: number }} Benchmark
 * @typedef {object} Results
 * @property {Record<string, string | number | null>} machine
 * @property {{ name: string, ok: boolean, seconds: number, told: string }[]} steps
 * @property {{ checks: number, failures: string[], graph?: Record<string, number>,
 *   times?: { name: string, ms: number | null, gigabytesPerSecond: number, share: number }[] }} [twin]
 * @property {{ passed: number, failed: number, skipped: number, failures: string[] }} [tests]
 * @property {Benchmark[]} [bench]
 * @property {Record<string, string>} [operators]
 * @property {string[]} [operatorFaults]
 * @property {number} seconds
 */

/** @param {number | null | undefined} value @param {number} [digits] */
const number = (value, digits = 3) =>
  value === undefined || value === null
    ? '–'
    : value >= 100
      ? value.toFixed(0)
      : value.toPrecision(digits);

/** @param {number | undefined} bytes */
const gigabytes = (bytes) => (bytes === undefined ? '–' : (bytes / 1e9).toFixed(2));

/** @param {Results} results @returns {string} */
export function section(results) {
  const {
    machine,
    steps,
    twin,
    tests,
    bench = [],
    operators,
    operatorFaults = [],
    seconds,
  } = results;
  const parts = [
    markdownTable(
      ['machine', ''],
      Object.entries(machine).map(([name, value]) => [name, value ?? '–']),
    ),
    `All steps took ${seconds} s.`,
    markdownTable(
      ['step', 'result', 'seconds'],
      steps.map(({ name, ok, seconds: took }) => [name, ok ? 'ok' : 'NOT OK', number(took)]),
    ),
  ];
  if (twin) {
    parts.push(
      `Operators against their CPU twins: ${twin.checks} checks, ${twin.failures.length} failures.`,
      ...twin.failures.map((failure) => `- ${failure}`),
    );
  }
  if (tests) {
    parts.push(
      `Tests: ${tests.passed} passed, ${tests.failed} failed, ${tests.skipped} skipped.`,
      ...tests.failures.map((failure) => `- ${failure}`),
    );
  }
  if (operators) {
    const outcomes = Object.values(operators);
    const equal = outcomes.filter((outcome) => outcome === 'equal').length;
    parts.push(
      `PyTorch's operator database on the device: ${equal} of ${outcomes.length} equal.`,
      ...operatorFaults.map((fault) => `- ${fault}`),
    );
  }
  if (bench.length > 0) parts.push(...steppings(bench));
  if (twin?.times) {
    parts.push(
      'Each kernel, and the share of the copy bandwidth at which it moves the bytes that it needs:',
      markdownTable(
        ['kernel', 'ms', 'GB/s', 'share'],
        twin.times.map(({ name, ms, gigabytesPerSecond, share }) => [
          name,
          number(ms),
          number(gigabytesPerSecond),
          `${(100 * share).toFixed(0)} %`,
        ]),
      ),
    );
  }
  return parts.join('\n\n');
}

/** The step, at each precision against PyTorch eager at the same. @param {Benchmark[]} bench */
function steppings(bench) {
  const inFull = bench.find(({ name }) => name === 'cuda-step-b2-540');
  return [
    'A training step of M3L (MiT-B2, 540², 13 classes, L = U = 4), against the same model in PyTorch eager:',
    markdownTable(
      [
        'step',
        'eager ms',
        'captured ms',
        'PyTorch eager ms',
        'faster by',
        'than its float32',
        'peak GB',
        'peak of PyTorch',
        'loss off by',
      ],
      bench.map((one) => [
        one.name,
        number(one.withoutGraph),
        number(one.ours),
        number(one.peer),
        `${number(one.peer / one.ours)} ×`,
        inFull ? `${number(inFull.peer / one.ours)} ×` : '–',
        gigabytes(one.peakBytes),
        gigabytes(one.peerPeakBytes),
        one.lossError?.toExponential(1) ?? '–',
      ]),
    ),
  ];
}

/** The page with what stands between its marks replaced. @param {string} page @param {Results | null} results */
export function withResults(page, results) {
  const text = results === null ? NONE : section(results);
  return withBetween(page, 'gpu', 'node scripts/gpu-report.mjs', text);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [file] = process.argv.slice(2);
  /** @type {Results | null} */
  const results = file === undefined ? null : JSON.parse(readFileSync(file, 'utf8'));
  const docs = (/** @type {string} */ name) =>
    fileURLToPath(new URL(`../docs/${name}`, import.meta.url));
  writeFileSync(docs('gpu.md'), withResults(readFileSync(docs('gpu.md'), 'utf8'), results));
  console.log('docs/gpu.md is written');
  if (results?.operators) {
    writeFileSync(docs('gpu-operators.json'), `${JSON.stringify(results.operators, null, 2)}\n`);
    console.log('docs/gpu-operators.json is written; next: node scripts/op-db/main.mjs --features');
  }
}
