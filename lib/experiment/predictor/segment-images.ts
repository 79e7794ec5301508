/** From images in memory to what a model finds in them; in the thread that has the model. */
import sharp from 'sharp';
import {
  type Colour,
  loadInputs,
  type ModalitySpec,
  palettePng,
  readPlane,
  resizePlane,
} from '../../data/index.js';
import { predictClasses, predictProbabilities } from '../../evaluation/predict.js';
import type { InferenceView } from '../../inference/index.js';
import type { Tensor } from '../../torch/index.js';
import * as torch from '../../torch/index.js';
import { type PortableError, toPortable } from '../../torch/portable-error.js';
import { classNames, paletteOf } from '../classes.js';
import type { Config } from '../config/config.js';
import { specsOf } from '../networks.js';
import { overlayPixels } from '../overlay.js';
import { loadingOf, predictionOf } from '../prediction-options.js';
import { ofEach, shares } from '../scene-predictor.js';
import type { ImagePrediction, SceneRequest } from './images.js';

/** What became of a scene. */
export type SceneAnswer =
  | { readonly prediction: ImagePrediction }
  | { readonly error: PortableError };

/** Pixels of predictions that are made at once, where there are several. */
const PIXELS_AT_ONCE = 2 ** 22;

interface Loaded {
  readonly index: number;
  readonly request: SceneRequest;
  readonly inputs: (Tensor | null)[];
  readonly size: readonly [number, number];
}

/**
 * An answer for each scene, in their order: one that cannot be read fails alone. Scenes of the same
 * modalities and sizes are predicted together.
 */
export async function segmentImages(
  view: InferenceView,
  config: Config,
  requests: readonly SceneRequest[],
): Promise<SceneAnswer[]> {
  const specs = specsOf(config);
  const answers: SceneAnswer[] = [];
  const likenesses = new Map<string, Loaded[]>();
  const loading = loadingOf(config);
  await Promise.all(
    requests.map(async (request, index) => {
      try {
        const { inputs, size } = await loadInputs(specs, request.images, loading);
        const likeness = `${size}|${inputs.map((input) => input?.shape.slice(2))}`;
        const alike = likenesses.get(likeness) ?? [];
        likenesses.set(likeness, alike);
        alike.push({ index, request, inputs, size });
      } catch (error) {
        answers[index] = { error: toPortable(error) };
      }
    }),
  );
  try {
    for (const alike of [...likenesses.values()].flatMap(inPasses)) {
      await segmentAlike(view, config, alike, answers);
    }
  } finally {
    for (const { inputs } of [...likenesses.values()].flat()) torch.dispose(inputs);
  }
  return answers;
}

function inPasses(alike: readonly Loaded[]): Loaded[][] {
  const [height, width] = alike[0]!.size;
  const most = Math.max(1, Math.floor(PIXELS_AT_ONCE / (height * width)));
  return Array.from({ length: Math.ceil(alike.length / most) }, (_, pass) =>
    alike.slice(pass * most, (pass + 1) * most),
  );
}

async function segmentAlike(
  view: InferenceView,
  config: Config,
  alike: readonly Loaded[],
  answers: SceneAnswer[],
): Promise<void> {
  let maps: Uint8Array[];
  let probabilities: Float32Array[] | null;
  try {
    ({ maps, probabilities } = predict(view, config, alike));
  } catch (error) {
    for (const { index } of alike) answers[index] = { error: toPortable(error) };
    return;
  }
  for (const [i, loaded] of alike.entries()) {
    try {
      const prediction = await outputsOf(view, config, loaded, {
        classes: maps[i]!,
        probabilities: probabilities?.[i],
      });
      answers[loaded.index] = { prediction };
    } catch (error) {
      answers[loaded.index] = { error: toPortable(error) };
    }
  }
}

function predict(
  view: InferenceView,
  config: Config,
  alike: readonly Loaded[],
): { maps: Uint8Array[]; probabilities: Float32Array[] | null } {
  const [first] = alike;
  const wanted = alike.some(({ request }) => request.outputs.includes('probabilities'));
  return torch.scope(() =>
    torch.noGrad(() => {
      const inputs = first!.inputs.map(
        (input, m) => input && torch.cat(alike.map((each) => each.inputs[m]!)),
      );
      const options = { ...predictionOf(config), size: first!.size, heads: ['ensemble'] as const };
      const { maps, probabilities } = wanted
        ? predictProbabilities(view, inputs, options)
        : { maps: predictClasses(view, inputs, options), probabilities: null };
      return {
        maps: ofEach(maps[0]!.to('uint8')) as Uint8Array[],
        probabilities: probabilities && (ofEach(probabilities) as Float32Array[]),
      };
    }),
  );
}

async function outputsOf(
  { hasMaskToken }: InferenceView,
  config: Config,
  { request, size }: Loaded,
  { classes, probabilities }: { classes: Uint8Array; probabilities: Float32Array | undefined },
): Promise<ImagePrediction> {
  const { images, outputs } = request;
  const specs = specsOf(config);
  const colours = paletteOf(config);
  const [height, width] = size;
  const mixed =
    outputs.includes('overlay') || outputs.includes('overlayPixels')
      ? await overlay(specs, images, classes, { size, colours })
      : null;
  const raw = { width, height, channels: 3 } as const;
  const missing = specs.flatMap(({ name }, m) => (images[m] === null ? [name] : []));
  return {
    width,
    height,
    classes,
    found: shares(classes, classNames(config)),
    missing,
    fill: missing.length === 0 || hasMaskToken ? null : config.evaluate.fill,
    ...(outputs.includes('palette') && { palette: palettePng(classes, size, colours) }),
    ...(outputs.includes('overlay') && { overlay: await sharp(mixed!, { raw }).png().toBuffer() }),
    ...(outputs.includes('overlayPixels') && { overlayPixels: mixed! }),
    ...(outputs.includes('probabilities') && { probabilities: probabilities! }),
  };
}

/** Over the first image that there is. */
async function overlay(
  specs: readonly ModalitySpec[],
  images: SceneRequest['images'],
  classes: Uint8Array,
  { size, colours }: { size: readonly [number, number]; colours: readonly Colour[] },
): Promise<Uint8Array> {
  const at = images.findIndex((image) => image !== null);
  const plane = await readPlane(specs[at]!, images[at]!);
  return overlayPixels(classes, resizePlane(plane, ...size), colours);
}
