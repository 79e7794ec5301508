import type { Comparison, Spread } from '../experiment/comparison.js';
import { formatTable, percent } from './table.js';

/** mIoU by case and robust mIoU, means over the seeds: a row a framework and fill, or the best's. */
export function comparisonTable({ rows, seeds }: Comparison, { bestOnly = false } = {}): string {
  const shown = rows.filter(({ best }) => best || !bestOnly);
  const starred = !bestOnly && rows.some(({ best }) => !best);
  const table = formatTable(
    ['mIoU', ...shown[0]!.cases.map(({ name }) => name), 'robust', 'missing is'],
    shown.map(({ framework, fill, best, cases, robustMeanIoU }) => [
      framework,
      ...cases.map(({ mean }) => percent(mean)),
      percent(robustMeanIoU.mean) +
        (seeds.length > 1 ? ` ± ${percent(robustMeanIoU.deviation)}` : ''),
      (fill ?? 'mask token') + (!starred ? '' : best && fill !== null ? ' *' : '  '),
    ]),
  );
  return starred ? `${table}\n* the fill that serves a framework best` : table;
}

/** Robust mIoU of each seed: a row a framework and fill. */
export function seedTable({ rows, seeds }: Comparison): string {
  return formatTable(
    ['robust mIoU', 'missing is', ...seeds.map((seed) => `seed ${seed}`)],
    rows.map(({ framework, fill, robustMeanIoU }) => [
      framework,
      fill ?? 'mask token',
      ...robustMeanIoU.values.map(percent),
    ]),
  );
}

/** A line for each framework over each one before it, with the best fills and with the demo's. */
export function gainLines({ gains, seeds }: Comparison): string[] {
  return gains.map(({ framework, baseline, fill, points }) => {
    const each = seeds.length > 1 ? ` (by seed: ${points.values.map(signed).join(', ')})` : '';
    const filled = fill === 'best' ? 'each with its best fill' : `filled with ${fill}`;
    return `${framework} over ${baseline}, ${filled}: ${signed(points.mean)}${spreadOf(points)} points${each}`;
  });
}

function spreadOf({ deviation, values }: Spread): string {
  return values.length > 1 ? ` ± ${deviation.toFixed(1)}` : '';
}

/** Points with their sign. */
export function signed(points: number): string {
  const text = points.toFixed(1);
  return points < 0 || text === '0.0' ? text.replace('-0.0', '0.0') : `+${text}`;
}
