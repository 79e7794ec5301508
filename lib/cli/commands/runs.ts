import type { Command } from 'commander';
import type { ListedRun } from '../../experiment/runs/list-runs.js';
import { oneOf } from '../arguments.js';
import { examples } from '../command-line.js';
import { printJson, printNote, printResult } from '../output.js';

const SORTS = ['when', 'name', 'state', 'score', 'iterations'] as const;
type Sort = (typeof SORTS)[number];

/** Which of two comes first: the newest, the best, the longest, else by the alphabet. */
const ORDER: Record<Sort, (a: ListedRun, b: ListedRun) => number> = {
  when: (a, b) => (b.when ?? '').localeCompare(a.when ?? ''),
  name: (a, b) => a.run.localeCompare(b.run, undefined, { numeric: true }),
  state: (a, b) => a.state.localeCompare(b.state),
  score: (a, b) => (b.robustMeanIoU ?? -1) - (a.robustMeanIoU ?? -1),
  iterations: (a, b) => b.iteration - a.iteration,
};

export function addRuns(program: Command): void {
  program
    .command('runs')
    .description('list runs with their best results')
    .argument('[folder]', 'where they are', 'runs')
    .option('--sort <by>', SORTS.join(', '), oneOf(SORTS), 'when')
    .option('--json', 'print the list as JSON', false)
    .addHelpText('after', examples('m3l runs', 'm3l runs /data/suite --sort score --json'))
    .action(async (folder: string, { sort, json }: { sort: Sort; json: boolean }) => {
      const { listRuns } = await import('../../experiment/runs/list-runs.js');
      const runs = listRuns(folder).sort(ORDER[sort]);
      if (json) printJson(runs);
      else if (runs.length === 0) printNote(`${folder} holds no runs.`);
      else {
        const { runsTable } = await import('../runs-table.js');
        printResult(runsTable(runs));
      }
    });
}
