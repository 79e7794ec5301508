import { extname } from 'node:path';
import type { Command } from 'commander';
import { CHECKPOINTS, device, oneOf, pair } from '../arguments.js';
import { examples } from '../command-line.js';
import { printJson, printNote, printResult, UsageError } from '../output.js';

interface Options {
  rgb?: string;
  depth?: string;
  modality: Record<string, string>;
  out: string;
  overlay?: string | true;
  checkpoint: (typeof CHECKPOINTS)[number];
  device?: string;
  set: string[];
  json: boolean;
}

export function addPredict(program: Command): void {
  program
    .command('predict')
    .description('segment one scene from whichever modalities are given')
    .argument('<run>', 'run folder')
    .option('--rgb <image>', 'colour image (short for --modality rgb=IMAGE)')
    .option('--depth <image>', 'depth image (short for --modality depth=IMAGE)')
    .option('--modality <name=image...>', 'image of any modality of the model', pair, {})
    .requiredOption(
      '--out <image>',
      'where to write the class of each pixel (8 bits: .png or .tif)',
    )
    .option(
      '--overlay [image]',
      'also write the classes in colour over the first image (.png, .jpg, .webp or .tif; default: ' +
        'beside --out, as NAME-overlay.png)',
    )
    .option('--checkpoint <which>', CHECKPOINTS.join(' or '), oneOf(CHECKPOINTS), 'latest')
    .option('--device <device>', 'cpu, cuda or cuda:N (default: as trained)', device)
    .option('--set <key=value...>', 'override keys of the configuration', [])
    .option('--json', 'print the result as JSON', false)
    .addHelpText(
      'after',
      examples(
        'm3l predict RUN --rgb a.png --depth a-depth.png --out a-classes.png --overlay',
        'm3l predict RUN --depth a-depth.png --out dark.png        (the camera is dark)',
        'm3l predict RUN --modality rgb=a.png thermal=b.png --out c.tif --overlay c.jpg',
      ),
    )
    .action(async (folder: string, options: Options) => {
      const images = imagesOf(options);
      const { predict, RunFolder } = await import('../../experiment/index.js');
      const { out, overlay, json } = options;
      const result = await predict(RunFolder.open(folder), {
        images,
        out,
        overlay: overlay === true ? besideOut(out) : overlay,
        checkpoint: options.checkpoint,
        device: options.device,
        sets: options.set,
      });
      if (json) return printJson(result);
      printResult(result.out);
      if (result.overlay !== null) printNote(`overlay: ${result.overlay}`);
      for (const { name, share } of result.classes) {
        printNote(`  ${name.padEnd(12)} ${(100 * share).toFixed(1).padStart(5)} %`);
      }
      if (result.missing.length > 0) printNote(`without ${result.missing.join(', ')}`);
    });
}

/** `scene.tif` as `scene-overlay.png`. */
function besideOut(out: string): string {
  return `${out.slice(0, out.length - extname(out).length)}-overlay.png`;
}

function imagesOf({ rgb, depth, modality }: Options): Record<string, string> {
  const images = { ...modality };
  for (const [name, image] of Object.entries({ rgb, depth })) {
    if (image === undefined) continue;
    if (images[name] !== undefined) {
      throw new UsageError(`--${name} and --modality ${name}=… give one image twice: drop one.`);
    }
    images[name] = image;
  }
  if (Object.keys(images).length === 0) {
    throw new UsageError('Give at least one image: --rgb, --depth or --modality name=image.');
  }
  return images;
}
