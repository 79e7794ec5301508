import type { Command } from 'commander';
import { printJson, printNote, printResult, UsageError } from '../output.js';

interface Options {
  rgb?: string;
  depth?: string;
  modality: string[];
  out: string;
  overlay?: string;
  checkpoint: string;
  device?: string;
  json: boolean;
}

export function addPredict(program: Command): void {
  program
    .command('predict')
    .description('segment one scene from whichever modalities are given')
    .argument('<run>', 'run folder')
    .option('--rgb <image>', 'colour image (short for --modality rgb=IMAGE)')
    .option('--depth <image>', 'depth image (short for --modality depth=IMAGE)')
    .option('--modality <name=image...>', 'image of any modality of the model', [])
    .requiredOption('--out <png>', 'where to write the class of each pixel (8-bit PNG)')
    .option('--overlay <png>', 'also write the classes in colour over the first image')
    .option('--checkpoint <which>', 'best or latest', 'latest')
    .option('--device <device>', 'cpu, cuda or cuda:N (default: as trained)')
    .option('--json', 'print the result as JSON', false)
    .action(async (folder: string, options: Options) => {
      const { predict, RunFolder } = await import('../../experiment/index.js');
      const { out, overlay, device, json } = options;
      const result = await predict(RunFolder.open(folder), {
        images: imagesOf(options),
        out,
        overlay,
        checkpoint: options.checkpoint === 'best' ? 'best' : 'latest',
        device,
      });
      if (json) return printJson(result);
      printResult(result.out);
      for (const { name, share } of result.classes) {
        printNote(`  ${name.padEnd(12)} ${(100 * share).toFixed(1).padStart(5)} %`);
      }
      if (result.missing.length > 0) printNote(`without ${result.missing.join(', ')}`);
    });
}

function imagesOf({ rgb, depth, modality }: Options): Record<string, string> {
  const images: Record<string, string> = {};
  for (const pair of modality) {
    const equals = pair.indexOf('=');
    if (equals < 1) throw new UsageError(`--modality ${pair}: expected name=image.`);
    images[pair.slice(0, equals)] = pair.slice(equals + 1);
  }
  if (rgb !== undefined) images.rgb = rgb;
  if (depth !== undefined) images.depth = depth;
  if (Object.keys(images).length === 0) {
    throw new UsageError('Give at least one image: --rgb, --depth or --modality name=image.');
  }
  return images;
}
