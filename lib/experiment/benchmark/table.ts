import { checkArguments } from '../../torch/check-arguments.js';
import * as is from '../../torch/rules.js';
import type { Spread } from '../comparison.js';
import type { BenchmarkReport, BenchmarkRow } from './run-suite.js';

const rowShape = is.shape('BenchmarkRow', { published: is.record, failed: is.list });

/** A suite's results as Markdown, the published value beside each where any was published. */
export function benchmarkTable(report: BenchmarkReport): string {
  checkArguments(
    'benchmarkTable',
    { report },
    { report: is.shape('BenchmarkReport', { seeds: is.list, rows: is.listOf(rowShape) }) },
  );
  const { suite, seeds, rows } = report;
  const columns = columnsOf(report);
  const cells = [
    columns.map(({ head }) => head),
    columns.map((_, i) => (i === 0 ? '---' : '---:')),
    ...rows.map((row) => columns.map(({ cell }) => cell(row))),
  ];
  const table = cells.map((row) => `| ${row.join(' | ')} |`);
  const failures = rows.flatMap(({ title, failed }) =>
    failed.map(({ seed, reason }) => `- ${title}, seed ${seed}: ${reason}`),
  );
  const deviation = `In %, ± the deviation over the seeds ${seeds.join(', ')}`;
  const isPublished = columns.some(({ head }) => head === PUBLISHED);
  return [
    `# ${suite}`,
    '',
    isPublished
      ? `${deviation}; in brackets the difference from what was published.`
      : `${deviation}.`,
    '',
    ...table,
    ...(failures.length > 0 ? ['', 'Not finished:', '', ...failures] : []),
  ].join('\n');
}

const PUBLISHED = 'published';

interface Column {
  head: string;
  cell(row: BenchmarkRow): string;
}

function columnsOf({ rows, seeds }: BenchmarkReport): Column[] {
  const measured = (head: string, key: 'all' | 'robust'): Column[] => {
    const own = { head, cell: (row: BenchmarkRow) => found(row[key], row.published[key]) };
    if (rows.every(({ published }) => published[key] === undefined)) return [own];
    return [own, { head: PUBLISHED, cell: ({ published }) => published[key]?.toFixed(1) ?? '' }];
  };
  return [
    { head: 'experiment', cell: ({ title }) => title },
    ...measured('mIoU', 'all'),
    ...measured('robust mIoU', 'robust'),
    {
      head: 'minutes',
      cell: ({ seconds }) => (seconds === null ? '' : (seconds / 60).toFixed(1)),
    },
    {
      head: 'seeds',
      cell: ({ failed }) => `${seeds.length - failed.length} of ${seeds.length}`,
    },
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
