import type { ListedRun } from '../experiment/runs/list-runs.js';
import { formatTable, percent } from './table.js';
import { printable } from './width.js';

/** Runs, a line each; what is wrong with some of them below. */
export function runsTable(runs: readonly ListedRun[]): string {
  const table = formatTable(
    ['run', 'state', 'framework', 'model', 'data', 'iterations', 'robust mIoU', 'when'],
    runs.map((run) => [
      printable(run.run),
      run.state,
      printable(run.framework ?? '–'),
      printable(run.model ?? '–'),
      printable(run.data ?? '–'),
      `${run.iteration}/${run.iterations ?? '–'}`,
      percent(run.robustMeanIoU),
      run.when === null ? '–' : localTime(new Date(run.when)),
    ]),
    5,
  );
  const problems = runs.flatMap(({ run, problem }) =>
    problem === null ? [] : [printable(`${run}: ${problem}`)],
  );
  return problems.length === 0 ? table : `${table}\n\n${problems.join('\n')}`;
}

function localTime(date: Date): string {
  const two = (value: number) => String(value).padStart(2, '0');
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join('-');
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}`;
}
