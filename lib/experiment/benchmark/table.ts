import { checkArguments } from '../../torch/check-arguments.js';
import * as is from '../../torch/rules.js';
import type { Spread } from '../comparison.js';
import type { BenchmarkReport, BenchmarkRow } from './run-suite.js';

const HEAD = ['experiment', 'mIoU', 'published', 'robust mIoU', 'published', 'minutes', 'seeds'];

const rowShape = is.shape('BenchmarkRow', { published: is.record, failed: is.list });

/** A suite's results as Markdown, the published value beside each. */
export function benchmarkTable(report: BenchmarkReport): string {
  checkArguments(
    'benchmarkTable',
    { report },
    { report: is.shape('BenchmarkReport', { seeds: is.list, rows: is.listOf(rowShape) }) },
  );
  const { suite, seeds, rows } = report;
  const cells = [
    HEAD,
    HEAD.map((_, i) => (i === 0 ? '---' : '---:')),
    ...rows.map((row) => cellsOf(row, seeds.length)),
  ];
  const table = cells.map((row) => `| ${row.join(' | ')} |`);
  const failures = rows.flatMap(({ title, failed }) =>
    failed.map(({ seed, reason }) => `- ${title}, seed ${seed}: ${reason}`),
  );
  return [
    `# ${suite}`,
    '',
    `In %, ± the deviation over the seeds ${seeds.join(', ')}; in brackets the difference from what was published.`,
    '',
    ...table,
    ...(failures.length > 0 ? ['', 'Not finished:', '', ...failures] : []),
  ].join('\n');
}

function cellsOf(
  { title, all, robust, published, seconds, failed }: BenchmarkRow,
  seeds: number,
): string[] {
  return [
    title,
    found(all, published.all),
    published.all?.toFixed(1) ?? '',
    found(robust, published.robust),
    published.robust?.toFixed(1) ?? '',
    seconds === null ? '' : (seconds / 60).toFixed(1),
    `${seeds - failed.length} of ${seeds}`,
  ];
}

function found(spread: Spread | null, published: number | undefined): string {
  if (spread === null) return '';
  const mean = 100 * spread.mean;
  const deviation = spread.values.length > 1 ? ` ± ${(100 * spread.deviation).toFixed(1)}` : '';
  if (published === undefined) return `${mean.toFixed(1)}${deviation}`;
  const difference = mean - published;
  return `${mean.toFixed(1)}${deviation} (${difference < 0 ? '−' : '+'}${Math.abs(difference).toFixed(1)})`;
}
