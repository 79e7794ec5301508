import type { Command } from 'commander';
import { examples } from '../command-line.js';
import { printJson, printResult } from '../output.js';

export function addCompare(program: Command): void {
  program
    .command('compare')
    .description('runs side by side: what differs in their configurations, and their results')
    .argument('<runs...>', 'run folders, two or more')
    .option('--json', 'print the comparison as JSON', false)
    .addHelpText('after', examples('m3l compare runs/supervised-1 runs/m3l-1'))
    .action(async (folders: string[], { json }: { json: boolean }) => {
      const { compareRunFolders } = await import('../../experiment/runs/compare-run-folders.js');
      const comparison = compareRunFolders(folders);
      if (json) printJson(comparison);
      else {
        const { sideBySideTable } = await import('../side-by-side-table.js');
        printResult(sideBySideTable(comparison));
      }
    });
}
