// What scripts/gpu-check.mjs found, as Markdown for docs/benchmarks.md.

/**
 * @typedef {object} Report
 * @property {Record<string, string>} machine
 * @property {{ name: string, ok: boolean, seconds: number, told: string }[]} phases
 * @property {{ name: string, passed: number, failed: number, skipped: number, failures: string[] }[]} tests
 * @property {{ name: string, title?: string, ours: number, peer: number, ratio: number, unit: string,
 *   withoutGraph?: number, ok: boolean, target: { ratio?: number, ours?: number } }[]} benchmarks
 * @property {string[]} unfitted
 * @property {number} seconds
 */

/** @param {string[]} headings @param {(string | number)[][]} rows */
function table(headings, rows) {
  const line = (/** @type {(string | number)[]} */ cells) => `| ${cells.join(' | ')} |`;
  return [line(headings), line(headings.map(() => '---')), ...rows.map(line)].join('\n');
}

/** @param {number} value */
const number = (value) => (value >= 100 ? value.toFixed(0) : value.toPrecision(3));

/** @param {{ ratio?: number, ours?: number }} target @param {string} unit */
const aim = ({ ratio, ours }, unit) =>
  ratio === undefined ? `≤ ${ours} ${unit}` : `≤ ${Number(ratio.toPrecision(3))} ×`;

/** @param {string} title @param {string[]} lines */
const section = (title, lines) =>
  lines.length === 0 ? [] : [`## ${title}`, lines.map((line) => `- ${line}`).join('\n')];

/** @param {Report} report */
export function markdown({ machine, phases, tests, benchmarks, unfitted, seconds }) {
  const failed = phases.filter(({ ok }) => !ok);
  return `${[
    '# On a CUDA device',
    `Written by \`node scripts/gpu-check.mjs\` in ${Math.round(seconds)} s.`,
    table(Object.keys(machine), [Object.values(machine)]),
    table(
      ['phase', 'result', 'seconds'],
      phases.map(({ name, ok, seconds: took }) => [name, ok ? 'ok' : 'FAILED', took.toFixed(0)]),
    ),
    ...(tests.length === 0
      ? []
      : [
          table(
            ['tests', 'passed', 'failed', 'skipped'],
            tests.map(({ name, passed, failed: bad, skipped }) => [name, passed, bad, skipped]),
          ),
        ]),
    ...(benchmarks.length === 0
      ? []
      : [
          table(
            ['case', 'ours', 'without graph', 'peer', 'ours / peer', 'target', ''],
            benchmarks.map(({ name, ours, withoutGraph, peer, ratio, unit, target, ok }) => [
              name,
              `${number(ours)} ${unit}`,
              withoutGraph === undefined ? '' : `${number(withoutGraph)} ${unit}`,
              `${number(peer)} ${unit}`,
              number(ratio),
              aim(target, unit),
              ok ? 'met' : 'MISSED',
            ]),
          ),
        ]),
    ...section(
      'Tests that failed',
      tests.flatMap(({ failures }) => failures),
    ),
    ...section('Did not fit', unfitted),
    ...(failed.length === 0 ? [] : ['## What failed']),
    ...failed.map(({ name, told }) => `${name}:\n\n\`\`\`\n${told}\n\`\`\``),
  ].join('\n\n')}\n`;
}
