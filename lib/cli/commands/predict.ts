import { dirname, extname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Command } from 'commander';
import type { RunFolder, Scene } from '../../experiment/index.js';
import { STREAM_WRITES, type StreamWrites } from '../../experiment/stream/writes.js';
import {
  CHECKPOINTS,
  deviceOrAuto,
  oneOf,
  pair,
  positiveNumber,
  wholeNumber,
} from '../arguments.js';
import { examples } from '../command-line.js';
import { listenForInterruption } from '../interruption.js';
import { EXIT, printJson, printNote, printResult, UsageError } from '../output.js';
import { predictFrames } from '../predict-frames.js';

interface Options {
  rgb?: string;
  depth?: string;
  modality: Record<string, string>;
  out: string;
  overlay?: string | true;
  probabilities?: 'npy' | 'png';
  legend: boolean;
  stdin: boolean;
  batch: number;
  stream: Record<string, string>;
  frames: Record<string, string>;
  write: StreamWrites;
  everyFrame: boolean;
  stall: number;
  checkpoint: (typeof CHECKPOINTS)[number];
  device?: string;
  set: string[];
  json: boolean;
}

export function addPredict(program: Command): void {
  program
    .command('predict')
    .description(
      'segment scenes from whichever modalities are given: images, folders, names with * or ?, or a stream of scenes',
    )
    .argument('<run>', 'run folder')
    .option('--rgb <image>', 'colour image or folder (short for --modality rgb=IMAGE)')
    .option('--depth <image>', 'depth image or folder (short for --modality depth=IMAGE)')
    .option('--modality <name=image...>', 'image or folder of any modality of the model', pair, {})
    .requiredOption(
      '--out <image>',
      'where to write the class of each pixel (8 bits: .png or .tif); of several scenes a folder',
    )
    .option(
      '--overlay [image]',
      'also write the classes in colour over the first image (.png, .jpg, .webp or .tif; default: ' +
        'beside --out, as NAME-overlay.png)',
    )
    .option(
      '--probabilities <format>',
      'also write probabilities: npy, all classes [K, H, W]; png, 16 bits, the class that is said',
      oneOf(['npy', 'png']),
    )
    .option('--legend', "also write the classes' colours, as legend.png beside", false)
    .option(
      '--stdin',
      'read scenes as lines of JSON, {"images": {"rgb": "a.png"}, "out": "a-classes.png"}, and answer each with a line',
      false,
    )
    .option(
      '--stream <name=source...>',
      'predict from frames as they come, of a file, a named pipe or - (standard input); --out - is standard output',
      pair,
      {},
    )
    .option(
      '--frames <name=format...>',
      'of a stream: mjpeg (default), or pixels and size, as rgb24:640x480 or gray16le:640x480',
      pair,
      {},
    )
    .option(
      '--write <what>',
      `of a stream: ${STREAM_WRITES.join(', ')}`,
      oneOf(STREAM_WRITES),
      STREAM_WRITES[0],
    )
    .option(
      '--every-frame',
      'of a stream: let frames wait, rather than drop what comes too fast',
      false,
    )
    .option(
      '--stall <seconds>',
      'of a stream: how long without a frame a sensor is silent',
      positiveNumber(3600),
      1,
    )
    .option('--batch <n>', 'scenes alike at once', wholeNumber({ most: 1024 }), 1)
    .option('--checkpoint <which>', CHECKPOINTS.join(' or '), oneOf(CHECKPOINTS), 'latest')
    .option('--device <device>', 'auto, cpu, cuda or cuda:N (default: as trained)', deviceOrAuto)
    .option('--set <key=value...>', 'override keys of the configuration', [])
    .option('--json', 'print the result as JSON', false)
    .addHelpText(
      'after',
      examples(
        'm3l predict RUN --rgb a.png --depth a-depth.png --out a-classes.png --overlay',
        'm3l predict RUN --depth a-depth.png --out dark.png        (the camera is dark)',
        'm3l predict RUN --modality rgb=a.png thermal=b.png --out c.tif --overlay c.jpg',
        'm3l predict RUN --rgb frames/rgb --depth frames/depth --out found --overlay --batch 8',
        "m3l predict RUN --rgb 'drive/*-left.png' --out found --probabilities png --legend",
        'ffmpeg -i /dev/video0 -f mjpeg - | m3l predict RUN --stream rgb=- depth=depth.pipe \\',
        '  --frames depth=gray16le:640x480 --out - | ffplay -f mjpeg -',
      ),
    )
    .action(async (folder: string, options: Options) => {
      const { isSeveral, RunFolder, writeLegend } = await import('../../experiment/index.js');
      if (Object.keys(options.stream).length > 0) {
        refuseBesideStream(options);
        return predictFrames(folder, options);
      }
      const images = imagesOf(options);
      const run = RunFolder.open(folder);
      const several = options.stdin || Object.values(images).some(isSeveral);
      await (several ? predictSeveral : predictOne)(run, images, options);
      if (options.legend) {
        const legend = join(several ? options.out : dirname(options.out), 'legend.png');
        await writeLegend(run, legend);
        if (!options.json) printNote(`legend: ${legend}`);
      }
    });
}

function refuseBesideStream(options: Options): void {
  const { rgb, depth, modality, overlay, probabilities, stdin, legend } = options;
  const others = { rgb, depth, overlay, probabilities, stdin, legend };
  const [other] = Object.entries(others).find(([, value]) => value) ?? [];
  if (other === undefined && Object.keys(modality).length === 0) return;
  throw new UsageError(
    `--stream reads frames: leave out --${other ?? 'modality'}, and say what is written by --write.`,
  );
}

async function predictOne(
  run: RunFolder,
  images: Record<string, string>,
  { out, overlay, probabilities, json, ...options }: Options,
): Promise<void> {
  const { predict } = await import('../../experiment/index.js');
  const result = await predict(run, {
    images,
    out,
    overlay: overlay === true ? beside(out, '-overlay.png') : overlay,
    ...(probabilities && { probabilities: beside(out, `-probabilities.${probabilities}`) }),
    checkpoint: options.checkpoint,
    device: options.device,
    sets: options.set,
    onNote: printNote,
  });
  if (json) return printJson(result);
  printResult(result.out);
  if (result.overlay !== null) printNote(`overlay: ${result.overlay}`);
  if (result.probabilities) printNote(`probabilities: ${result.probabilities}`);
  for (const { name, share } of result.classes) {
    printNote(`  ${name.padEnd(12)} ${(100 * share).toFixed(1).padStart(5)} %`);
  }
  if (result.missing.length > 0) printNote(`without ${result.missing.join(', ')}`);
}

/** A line a scene: where its classes are, or as JSON all that is known of it. */
async function predictSeveral(
  run: RunFolder,
  images: Record<string, string>,
  { out, overlay, probabilities, stdin, json, ...options }: Options,
): Promise<void> {
  if (typeof overlay === 'string') {
    throw new UsageError('Of several scenes --overlay takes no name: each is beside its classes.');
  }
  const { predictMany, scenesOf } = await import('../../experiment/index.js');
  const scenes = stdin
    ? scenesOfLines(process.stdin)
    : scenesOf(images, (stem) => ({
        out: join(out, `${stem}.png`),
        ...(overlay && { overlay: join(out, `${stem}-overlay.png`) }),
        ...(probabilities && {
          probabilities: join(out, `${stem}-probabilities.${probabilities}`),
        }),
      }));
  const interruption = listenForInterruption();
  let [done, failures] = [0, 0];
  try {
    const found = predictMany(run, scenes, {
      batch: stdin ? 1 : options.batch,
      checkpoint: options.checkpoint,
      device: options.device,
      sets: options.set,
      onNote: printNote,
      signal: interruption.signal,
    });
    for await (const each of found) {
      done += 1;
      if ('error' in each) failures += 1;
      if (json || stdin) process.stdout.write(`${JSON.stringify(each)}\n`);
      else if ('error' in each) printNote(`${each.out}: ${each.error.message}`);
      else printResult(each.out);
    }
  } finally {
    interruption.stop();
  }
  printNote(`${done - failures} of ${done} scenes${failures > 0 ? `, ${failures} failed` : ''}`);
  if (interruption.signal.aborted) process.exitCode = EXIT.interrupted;
  else if (failures > 0) process.exitCode = EXIT.failure;
}

async function* scenesOfLines(input: NodeJS.ReadableStream): AsyncGenerator<Scene> {
  const { z } = await import('zod');
  const line = z.strictObject({
    images: z.record(z.string(), z.string()),
    out: z.string(),
    overlay: z.string().optional(),
    probabilities: z.string().optional(),
  });
  let number = 0;
  for await (const text of createInterface({ input })) {
    number += 1;
    if (text.trim() === '') continue;
    const parsed = line.safeParse(parseJson(text));
    if (parsed.success) yield parsed.data;
    else {
      const [issue] = parsed.error.issues;
      throw new UsageError(
        `Line ${number}: ${[...issue!.path, issue!.message].join(': ')}. Expected {"images": {"rgb": "a.png"}, "out": "b.png"}.`,
      );
    }
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** `scene.tif` as `scene-overlay.png`. */
function beside(out: string, end: string): string {
  return `${out.slice(0, out.length - extname(out).length)}${end}`;
}

function imagesOf({ rgb, depth, modality, stdin }: Options): Record<string, string> {
  const images = { ...modality };
  for (const [name, image] of Object.entries({ rgb, depth })) {
    if (image === undefined) continue;
    if (images[name] !== undefined) {
      throw new UsageError(`--${name} and --modality ${name}=… give one image twice: drop one.`);
    }
    images[name] = image;
  }
  const none = Object.keys(images).length === 0;
  if (none && !stdin) {
    throw new UsageError('Give at least one image: --rgb, --depth or --modality name=image.');
  }
  if (!none && stdin) {
    throw new UsageError(
      '--stdin reads which images there are: leave out --rgb, --depth and --modality.',
    );
  }
  return images;
}
