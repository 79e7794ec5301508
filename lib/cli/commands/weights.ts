import type { Command } from 'commander';
import type { InspectedWeights } from '../../experiment/index.js';
import { oneOf, wholeNumber } from '../arguments.js';
import { examples } from '../command-line.js';
import { printJson, printNote, printResult } from '../output.js';
import { formatTable } from '../table.js';

const TARGETS = ['m3l', 'hugging-face'] as const;

interface ConvertOptions {
  to: (typeof TARGETS)[number];
  network?: string;
  modalities: number;
  modality: number;
  half: boolean;
  json: boolean;
}

interface ImportOptions {
  out: string;
  set: string[];
  json: boolean;
}

export function addWeights(program: Command): void {
  const weights = program
    .command('weights')
    .description("others' weights: what a file holds, and in whose names");
  weights
    .command('inspect')
    .description('say of whose weights a file is, and what they fit')
    .argument('<file>', 'safetensors or .pth; nothing of a pickle is executed')
    .option('--tensors', 'list the tensors too', false)
    .option('--json', 'print the result as JSON', false)
    .action(async (file: string, { tensors, json }: { tensors: boolean; json: boolean }) => {
      const { inspectWeights } = await import('../../experiment/index.js');
      const found = inspectWeights(file);
      if (json) return printJson(found);
      print(found);
      if (tensors) {
        const rows = Object.entries(found.shapes).map(([name, { dtype, shape }]) => [
          name,
          dtype,
          `[${shape.join(', ')}]`,
        ]);
        printResult(formatTable(['tensor', 'dtype', 'shape'], rows));
      }
    });
  weights
    .command('convert')
    .description("write weights of any known origin by m3l's names, or as Hugging Face's SegFormer")
    .argument('<file>', 'safetensors or .pth; nothing of a pickle is executed')
    .argument('<out>', 'a .safetensors file; of hugging-face a folder')
    .option('--to <names>', TARGETS.join(' or '), oneOf(TARGETS), 'm3l')
    .option('--network <name>', 'student or teacher, of a file with both (default: teacher)')
    .option('--modalities <n>', 'how many norms each becomes', wholeNumber({ most: 64 }), 1)
    .option(
      '--modality <index>',
      'whose norms Hugging Face gets',
      wholeNumber({ least: 0, most: 63 }),
      0,
    )
    .option('--half', 'in half precision', false)
    .option('--json', 'print the result as JSON', false)
    .addHelpText(
      'after',
      examples(
        'm3l weights inspect mit_b2.pth',
        'm3l weights convert authors.pth m3l-b2.safetensors --network teacher',
        'm3l weights convert RUN/checkpoints/step-0001200/model.safetensors segformer --to hugging-face',
        'm3l train my.yaml --set model.pretrained=mit_b2.pth',
      ),
    )
    .action(async (file: string, out: string, { json, ...options }: ConvertOptions) => {
      const { convertWeights } = await import('../../experiment/index.js');
      const done = convertWeights(file, out, options);
      if (json) return printJson(done);
      printResult(done.out);
      printNote(
        `  ${done.tensors} tensors, ${millions(done.parameters)}, of ${done.from.title} (${done.from.file})`,
      );
    });
  weights
    .command('import')
    .description('make a run of weights, to evaluate, predict with, export or start from')
    .argument('<file>', 'safetensors or .pth; nothing of a pickle is executed')
    .argument('<config>', 'configuration of the model and data, or the name of one of the package')
    .requiredOption('--out <folder>', 'the run')
    .option('--set <key=value...>', 'override keys of the configuration', [])
    .option('--json', 'print the result as JSON', false)
    .addHelpText(
      'after',
      examples(
        'm3l weights import authors.pth stanford-indoor --out runs/authors',
        'm3l evaluate runs/authors --subsets',
      ),
    )
    .action(async (file: string, config: string, { out, set, json }: ImportOptions) => {
      const { importWeights, resolveConfig, RunFolder } = await import('../../experiment/index.js');
      const resolved = resolveConfig(config, set);
      const done = await importWeights(file, resolved, RunFolder.create(resolved, out), printNote);
      if (json) return printJson(done);
      printResult(done.run);
      for (const [name, source] of Object.entries(done.networks)) {
        printNote(`  ${name}: ${source === null ? 'the weights' : `'${source}'`} of ${done.file}`);
      }
    });
}

const millions = (count: number) => `${(count / 1e6).toFixed(2)} M parameters`;

function print(found: InspectedWeights): void {
  const { title, container, tensors, parameters, dtypes, networks } = found;
  const { backbone, modalities, classes } = found;
  printResult(`${found.file}: ${title} (${container})`);
  const types = Object.entries(dtypes).map(([dtype, count]) => `${count} ${dtype}`);
  printResult(`  ${tensors} tensors, ${millions(parameters)} (${types.join(', ')})`);
  if (networks.length > 0) printResult(`  networks: ${networks.join(', ')}`);
  if (backbone !== null) printResult(`  backbone: ${backbone}`);
  if (modalities !== null) printResult(`  modalities: ${modalities}`);
  printResult(classes === null ? '  no segmentation head' : `  classes: ${classes}`);
}
