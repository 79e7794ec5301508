/** From images in memory to what a model finds in them; in the thread that has the model. */
import sharp from 'sharp';
import { palettePng } from '../../data/index.js';
import * as torch from '../../torch/index.js';
import { type PortableError, toPortable } from '../../torch/portable-error.js';
import type { ImagePrediction, SceneRequest } from './images.js';
import type { LoadedImages, SceneNetwork } from './scene-network.js';

/** What became of a scene. */
export type SceneAnswer =
  | { readonly prediction: ImagePrediction }
  | { readonly error: PortableError };

/** Pixels of predictions that are made at once, where there are several. */
const PIXELS_AT_ONCE = 2 ** 22;

interface Loaded extends LoadedImages {
  readonly index: number;
  readonly outputs: SceneRequest['outputs'];
}

/**
 * An answer for each scene, in their order: one that cannot be read fails alone. Scenes of the same
 * modalities and sizes are predicted together.
 *
 * @param onProgress is called after each image that was read and each pass of the model
 */
export async function segmentImages(
  network: SceneNetwork,
  requests: readonly SceneRequest[],
  onProgress: () => void,
): Promise<SceneAnswer[]> {
  const answers: SceneAnswer[] = [];
  const likenesses = new Map<string, Loaded[]>();
  await Promise.all(
    requests.map(async ({ images, outputs }, index) => {
      try {
        const loaded = { index, outputs, ...(await network.load(images)) };
        const likeness = network.likeness(loaded);
        const alike = likenesses.get(likeness) ?? [];
        likenesses.set(likeness, alike);
        alike.push(loaded);
      } catch (error) {
        answers[index] = { error: toPortable(error) };
      }
      onProgress();
    }),
  );
  try {
    for (const alike of [...likenesses.values()].flatMap(inPasses)) {
      await segmentAlike(network, alike, answers);
      onProgress();
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
  network: SceneNetwork,
  alike: readonly Loaded[],
  answers: SceneAnswer[],
): Promise<void> {
  let found: ReturnType<SceneNetwork['segment']>;
  try {
    const probabilities = alike.some(({ outputs }) => outputs.includes('probabilities'));
    found = network.segment(alike, { probabilities });
  } catch (error) {
    for (const { index } of alike) answers[index] = { error: toPortable(error) };
    return;
  }
  for (const [i, loaded] of alike.entries()) {
    try {
      answers[loaded.index] = { prediction: await predictionOf(network, loaded, found[i]!) };
    } catch (error) {
      answers[loaded.index] = { error: toPortable(error) };
    }
  }
}

async function predictionOf(
  network: SceneNetwork,
  loaded: Loaded,
  { classes, probabilities }: ReturnType<SceneNetwork['segment']>[number],
): Promise<ImagePrediction> {
  const { outputs, size } = loaded;
  const [height, width] = size;
  const mixed =
    outputs.includes('overlay') || outputs.includes('overlayPixels')
      ? await network.overlay(loaded, classes)
      : null;
  const raw = { width, height, channels: 3 } as const;
  return {
    ...{ width, height, classes, found: network.found(classes), ...network.missing(loaded) },
    ...(outputs.includes('palette') && { palette: palettePng(classes, size, network.colours) }),
    ...(outputs.includes('overlay') && { overlay: await sharp(mixed!, { raw }).png().toBuffer() }),
    ...(outputs.includes('overlayPixels') && { overlayPixels: mixed! }),
    ...(outputs.includes('probabilities') && { probabilities: probabilities! }),
  };
}
