import type { RunsSideBySide } from '../experiment/runs/compare-run-folders.js';
import { formatTable, percent } from './table.js';
import { fitted, printable } from './width.js';

/** A value of a configuration takes at most so many columns. */
const WIDEST = 40;

/** Runs side by side, by letters: settings that differ, mIoU by case, IoU by class and case. */
export function sideBySideTable({ runs, settings, robustMeanIoU, cases }: RunsSideBySide): string {
  const letters = runs.map((_, i) => letterOf(i));
  const legend = runs.map(({ run, iteration, problem }, i) => {
    const facts = [iteration === null ? null : `after ${iteration} iterations`, problem];
    return printable(
      [`${letters[i]}  ${run}`, ...facts.filter((fact) => fact !== null)].join(', '),
    );
  });
  const gains = letters.slice(1).map((letter) => `${letter} − A`);
  const row = (name: string, values: readonly (number | null)[]) => [
    printable(name),
    ...values.map(percent),
    ...values.slice(1).map((value) => gain(value, values[0]!)),
  ];
  const scores = formatTable(
    ['mIoU', ...letters, ...gains],
    [...cases.map(({ name, meanIoU }) => row(name, meanIoU)), row('robust', robustMeanIoU)],
  );
  const classes = cases[0]?.classes ?? [];
  const byClass = formatTable(
    ['IoU', ...cases.flatMap(({ name }) => letters.map((letter) => `${name} ${letter}`))],
    classes.map(({ name }, k) => [
      printable(name),
      ...cases.flatMap((one) => one.classes[k]!.IoU.map(percent)),
    ]),
  );
  const configuration =
    settings.length === 0
      ? 'The configurations are the same.'
      : formatTable(
          ['setting', ...letters],
          settings.map(({ key, values }) => [printable(key), ...values.map(written)]),
          1 + letters.length,
        );
  return [legend.join('\n'), configuration, scores, ...(classes.length > 0 ? [byClass] : [])].join(
    '\n\n',
  );
}

/** A, B, …, Z, AA, … */
function letterOf(index: number): string {
  const last = String.fromCharCode(65 + (index % 26));
  return index < 26 ? last : `${letterOf(Math.floor(index / 26) - 1)}${last}`;
}

function gain(value: number | null, first: number | null): string {
  if (value === null || first === null) return '–';
  const points = (100 * (value - first)).toFixed(1);
  return points.startsWith('-') || points === '0.0' ? points.replace('-', '−') : `+${points}`;
}

function written(value: unknown): string {
  if (value === null || value === undefined) return '–';
  return fitted(printable(typeof value === 'string' ? value : JSON.stringify(value)), WIDEST);
}
