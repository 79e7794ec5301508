import sharp from 'sharp';
import {
  type Colour,
  colourise,
  loadInputs,
  type Plane,
  readPlane,
  resizePlane,
} from '../data/index.js';
import { predictClasses } from '../evaluation/index.js';
import { optimizeForInference } from '../inference/index.js';
import { checkArguments } from '../torch/check-arguments.js';
import * as torch from '../torch/index.js';
import { classNames, paletteOf } from './classes.js';
import { modalityIndex, requireCheckpoint } from './evaluate.js';
import { answering, disposeNetworks, loadNetworks, prepareTorch, specsOf } from './networks.js';
import { checkOutputs, writePicture } from './picture-file.js';
import { predictOptionsShape, runFolderShape } from './rules.js';
import type { RunFolder } from './run-folder.js';
import { loadingOf, predictionOf } from './run-predictor.js';

/** What `predict` takes by name. */
export interface PredictOptions {
  /** Image file of each modality that is there, by its name. */
  images: Record<string, string>;
  /** Where the class of each pixel goes: an 8-bit grey image of the images' size, see CLASS_FORMATS. */
  out: string;
  /** Where to draw the classes in colour over the first image, see OVERLAY_FORMATS. */
  overlay?: string | undefined;
  checkpoint?: 'best' | 'latest';
  device?: string | undefined;
  /** `key=value` overrides of the run's configuration. */
  sets?: readonly string[] | undefined;
}

/** What was found in a scene; plain JSON. */
export interface PredictedScene {
  out: string;
  overlay: string | null;
  /** [height, width] */
  size: [number, number];
  /** Modalities that were not given. */
  missing: string[];
  /** What stood for them; null where the model has a mask token or nothing is missing. */
  fill: string | null;
  /** Classes that were found, the largest first; `share` of all pixels. */
  classes: { index: number; name: string; share: number }[];
}

/**
 * Segments a scene from whichever of its modalities are given, with the network that is its
 * framework's headline. Folders of the files it writes are made.
 *
 * @throws EvaluationError M3L_MISSING_MODALITY; PictureError; DataError of an image; CheckpointError
 */
export async function predict(run: RunFolder, options: PredictOptions): Promise<PredictedScene> {
  checkArguments(
    'predict',
    { run, options },
    { run: runFolderShape, options: predictOptionsShape },
  );

  const { sets = [], device } = options;
  checkOutputs(options);
  const config = run.config(device === undefined ? sets : [...sets, `device=${device}`]);
  prepareTorch(config);
  const specs = specsOf(config);
  const names = specs.map(({ name }) => name);
  for (const name of Object.keys(options.images)) modalityIndex(name, names);
  const files = names.map((name) => options.images[name] ?? null);
  const path = requireCheckpoint(run, options.checkpoint ?? 'latest');
  const { inputs, size } = await loadInputs(specs, files, loadingOf(config));
  try {
    const classes = classNames(config);
    const { networks } = loadNetworks(path, config, classes.length);
    try {
      const { model } = answering(config, networks);
      using view = optimizeForInference(model, { measure: false });
      const asked = predictionOf(config);
      const found = torch.scope(() =>
        torch.noGrad(() => {
          const [map] = predictClasses(view, inputs, { ...asked, size, heads: ['ensemble'] });
          return map!.to({ dtype: 'uint8', device: 'cpu' }).toTypedArray() as Uint8Array;
        }),
      );
      await writeClasses(options.out, found, size);
      if (options.overlay !== undefined) {
        const first = files.findIndex((file) => file !== null);
        const plane = resizePlane(await readPlane(specs[first]!, files[first]!), ...size);
        await writeOverlay(options.overlay, found, plane, paletteOf(config));
      }
      const missing = names.filter((_, index) => files[index] === null);
      return {
        out: options.out,
        overlay: options.overlay ?? null,
        size,
        missing,
        fill: missing.length === 0 || model.hasMaskToken ? null : config.evaluate.fill,
        classes: shares(found, classes),
      };
    } finally {
      disposeNetworks(networks);
    }
  } finally {
    torch.dispose(inputs);
  }
}

function shares(found: Uint8Array, names: readonly string[]): PredictedScene['classes'] {
  const counts = new Array<number>(names.length).fill(0);
  for (const index of found) counts[index]!++;
  return names
    .map((name, index) => ({ index, name, share: counts[index]! / found.length }))
    .filter(({ share }) => share > 0)
    .sort((a, b) => b.share - a.share);
}

async function writeClasses(
  path: string,
  found: Uint8Array,
  [height, width]: readonly [number, number],
): Promise<void> {
  await writePicture(
    path,
    sharp(found, { raw: { width, height, channels: 1 } }).toColourspace('b-w'),
  );
}

/** Half image, half class colour; a depth image in the greys of its range. */
async function writeOverlay(
  path: string,
  found: Uint8Array,
  { data, width, height, channels, offset, divisor }: Plane,
  palette: readonly Colour[],
): Promise<void> {
  const mixed = colourise(found, palette);
  for (let i = 0; i < mixed.length; i++) {
    const raw = data[channels === 3 ? i : Math.floor(i / 3)]!;
    const level = Math.min(Math.max((raw - offset) / divisor, 0), 1) * 255;
    mixed[i] = Math.round(0.5 * mixed[i]! + 0.5 * (Number.isNaN(level) ? 0 : level));
  }
  await writePicture(path, sharp(mixed, { raw: { width, height, channels: 3 } }));
}
