import type { Command } from 'commander';
import { examples } from '../command-line.js';
import { printJson } from '../output.js';
import {
  printTraining,
  runTraining,
  type TrainingOptions,
  takeTrainingOptions,
} from '../training.js';

export function addTrain(program: Command): void {
  takeTrainingOptions(
    program
      .command('train')
      .description('train a model as a YAML configuration says; Ctrl-C saves and stops'),
  )
    .addHelpText(
      'after',
      examples(
        'm3l train rooms-demo',
        'm3l train my.yaml --set framework=supervised seed=2 --out runs/supervised-2',
        'm3l train --resume runs/supervised-2',
        'm3l train my.yaml --nproc 2',
        'torchrun --nnodes 2 --nproc-per-node 8 --no-python … m3l train my.yaml',
      ),
    )
    .action(async (file: string | undefined, options: TrainingOptions) => {
      const { train } = await import('../../experiment/index.js');
      const summary = await runTraining('train', file, options, train);
      if (summary === null) return;
      if (options.json) printJson(summary);
      else await printTraining(summary);
    });
}
