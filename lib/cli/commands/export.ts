import { extname } from 'node:path';
import type { Command } from 'commander';
import { CHECKPOINTS, oneOf, pictureSize, wholeNumber, words } from '../arguments.js';
import { examples } from '../command-line.js';
import { printJson, printNote, printResult, UsageError } from '../output.js';

interface Options {
  onnx: string;
  modalities?: string[];
  size?: [number, number];
  batch: number;
  heads: 'ensemble' | 'all';
  network?: string;
  checkpoint: (typeof CHECKPOINTS)[number];
  json: boolean;
}

export function addExport(program: Command): void {
  program
    .command('export')
    .description('write a trained model for other programs: ONNX')
    .argument('<run>', 'run folder')
    .requiredOption('--onnx <file>', 'the model as ONNX (opset 18, float32, every size fixed)')
    .option('--modalities <name...>', 'those that the model is given (default: all)', words)
    .option(
      '--size <HEIGHTxWIDTH>',
      "of the images (default: the evaluation's, else the crop)",
      pictureSize,
    )
    .option('--batch <n>', 'images at once', wholeNumber({ most: 4096 }), 1)
    .option('--heads <which>', 'ensemble, or all', oneOf(['ensemble', 'all']), 'ensemble')
    .option('--network <name>', "student, teacher, … (default: the framework's headline)")
    .option('--checkpoint <which>', CHECKPOINTS.join(' or '), oneOf(CHECKPOINTS), 'latest')
    .option('--json', 'print the result as JSON', false)
    .addHelpText(
      'after',
      examples(
        'm3l export RUN --onnx model.onnx',
        'm3l export RUN --onnx depth-alone.onnx --modalities depth --size 480x640',
      ),
    )
    .action(async (folder: string, { onnx: out, json, ...options }: Options) => {
      if (extname(out) !== '.onnx') throw new UsageError(`--onnx ${out}: expected a name.onnx.`);
      const { exportOnnx, RunFolder } = await import('../../experiment/index.js');
      const result = exportOnnx(RunFolder.open(folder), { out, ...options });
      if (json) return printJson(result);
      printResult(result.out);
      const shapes = (of: Record<string, readonly number[]>) =>
        Object.entries(of)
          .map(([name, shape]) => `${name} [${shape.join(', ')}]`)
          .join(', ');
      printNote(`  ${shapes(result.inputs)} → ${shapes(result.outputs)}`);
      printNote(
        `  ${result.nodes} nodes, opset ${result.opset}, ${(result.bytes / 1e6).toFixed(1)} MB; ` +
          `iteration ${result.iteration} of ${result.checkpoint}`,
      );
    });
}
