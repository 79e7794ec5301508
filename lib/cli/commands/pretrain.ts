import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import type { WeightsPackage } from '../../experiment/index.js';
import { examples } from '../command-line.js';
import { printJson, printNote, UsageError } from '../output.js';
import {
  printTraining,
  runTraining,
  type TrainingOptions,
  takeTrainingOptions,
} from '../training.js';

interface Options extends TrainingOptions {
  export?: string;
}

export function addPretrain(program: Command): void {
  takeTrainingOptions(
    program
      .command('pretrain')
      .description('train an encoder to start from, and write it as a package of weights'),
  )
    .option('--export <folder>', 'the package (default: package in the run folder)')
    .addHelpText(
      'after',
      `\nA run folder in place of the configuration: its package is written, nothing is trained.\n${examples(
        'm3l pretrain pretrain-rooms --out runs/start --export weights/mit-b0-rooms',
        'm3l pretrain --resume runs/start',
        'm3l pretrain runs/start --export weights/mit-b0-rooms',
        'm3l train my.yaml --set model.pretrained=weights/mit-b0-rooms/encoder.safetensors',
      )}`,
    )
    .action(async (file: string | undefined, options: Options) => {
      if (file !== undefined && existsSync(join(file, 'config.yaml')))
        return exportRun(file, options);
      const { pretrain } = await import('../../experiment/index.js');
      const summary = await runTraining('pretrain', file, options, (given) =>
        pretrain({ ...given, export: options.export }),
      );
      if (summary === null) return;
      if (options.json) return printJson(summary);
      await printTraining(summary);
      tell(summary.weights);
    });
}

async function exportRun(folder: string, options: Options): Promise<void> {
  if (options.resume !== undefined || options.out !== undefined || options.set.length > 0) {
    throw new UsageError(
      `${folder} is a run, which is exported as it is: leave out --set, --out and --resume. ` +
        `To train on: m3l pretrain --resume ${folder}`,
    );
  }
  const { RunFolder, writeWeightsPackage } = await import('../../experiment/index.js');
  const run = RunFolder.open(folder);
  const weights = writeWeightsPackage(run, options.export ?? join(run.path, 'package'));
  if (options.json) printJson({ weights });
  else tell(weights);
}

function tell({ name, folder, file, bytes }: WeightsPackage): void {
  printNote(`Package: ${folder} (${name}, ${(bytes / 1e6).toFixed(1)} MB)`);
  printNote(`Start from it: --set model.pretrained=${file}`);
}
