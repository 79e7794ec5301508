/** What a predictor is given and gives, and the checks of it. */
import { DataError, type ImageSource, type PictureData } from '../../data/index.js';
import { ArgumentError, describe } from '../../torch/errors.js';
import { modalityIndex } from '../evaluate.js';
import type { NetworkFacts } from '../run-predictor.js';
import type { FoundClass } from './scene-network.js';

/** Pixels in memory: rows from the top, channels of a pixel side by side. */
export interface Pixels {
  readonly data: PictureData;
  readonly width: number;
  readonly height: number;
  /** 1 where absent. */
  readonly channels?: number;
}

/** An image: the bytes of a file (PNG, JPEG, WebP, TIFF, .npy), or its pixels. */
export type PredictorImage = Uint8Array | Pixels;

/** Images by the names of their modalities; null or absent: that sensor gave none. */
export type PredictorImages = Readonly<Record<string, PredictorImage | null | undefined>>;

/** What is made of a prediction beside its classes. */
export const PREDICTION_OUTPUTS = ['palette', 'overlay', 'overlayPixels', 'probabilities'] as const;
/** Name of what is made of a prediction beside its classes. */
export type PredictionOutput = (typeof PREDICTION_OUTPUTS)[number];

/** What a model found in the images of one scene. */
export interface ImagePrediction {
  readonly width: number;
  readonly height: number;
  /** [H, W]: the class of each pixel. */
  readonly classes: Uint8Array;
  /** The classes that were found, the largest first; `share` of all pixels. */
  readonly found: FoundClass[];
  /** Modalities that were not given. */
  readonly missing: string[];
  /** What stood for them; null where the model has a mask token or nothing is missing. */
  readonly fill: string | null;
  /** PNG: classes as numbers, in the classes' colours. */
  readonly palette?: Uint8Array;
  /** PNG: the first image, classes in colour over it. */
  readonly overlay?: Uint8Array;
  /** [H, W, 3]: the same as pixels. */
  readonly overlayPixels?: Uint8Array;
  /** [K, H, W]: softmax. */
  readonly probabilities?: Float32Array;
}

/** One scene on its way to the model, which may be in another thread. */
export interface SceneRequest {
  /** One a modality. */
  readonly images: readonly (Exclude<ImageSource, string> | null)[];
  readonly outputs: readonly PredictionOutput[];
}

/**
 * The images in the order of the modalities.
 * @throws EvaluationError M3L_MISSING_MODALITY for a name that is none; DataError M3L_DATA_OPTIONS for no
 *   image at all, M3L_IMAGE_PIXELS; ArgumentError. That pixels are as many as they say is looked at by who
 *   reads them.
 */
export function sourcesOf(
  images: PredictorImages,
  { specs }: Pick<NetworkFacts, 'specs'>,
  maxPixels: number,
): SceneRequest['images'] {
  const names = specs.map(({ name }) => name);
  for (const name of Object.keys(images)) modalityIndex(name, names);
  const sources = names.map((name) => {
    const image = Object.hasOwn(images, name) ? images[name] : null;
    return image === null || image === undefined ? null : sourceOf(name, image, maxPixels);
  });
  if (sources.some((source) => source !== null)) return sources;
  throw new DataError(
    'M3L_DATA_OPTIONS',
    `found no image, expected at least one of ${names.join(', ')}.`,
  );
}

function sourceOf(name: string, image: PredictorImage, maxPixels: number) {
  if (image instanceof Uint8Array) return { name, bytes: compact(image), maxPixels };
  const { data, width, height, channels = 1 } = pixelsOf(name, image);
  const sides = [width, height, channels];
  if (!sides.every((side) => Number.isSafeInteger(side) && side > 0)) {
    throw new ArgumentError(
      `predict: found ${width} × ${height} pixels of ${channels} channels for ${name}, expected positive integers`,
    );
  }
  if (width * height > maxPixels) {
    throw new DataError(
      'M3L_IMAGE_PIXELS',
      `${name}: found ${width} × ${height} pixels, expected at most ${maxPixels} in all. Send a smaller image.`,
    );
  }
  return { name, picture: { width, height, channels, data: compact(data) } };
}

const TYPES: readonly { readonly name: string; readonly prototype: object }[] = [
  Uint8Array,
  Uint16Array,
  Uint32Array,
  Int16Array,
  Int32Array,
  Float32Array,
  Float64Array,
];

function pixelsOf(name: string, image: unknown): Pixels {
  const expected = `the bytes of an image, or { data, width, height, channels } with data of ${TYPES.map((type) => type.name).join(', ')}`;
  if (typeof image !== 'object' || image === null || Array.isArray(image)) {
    throw new ArgumentError(`predict: found ${describe(image)} for ${name}, expected ${expected}`);
  }
  const { data } = image as { data?: unknown };
  const plain =
    data instanceof Uint8ClampedArray
      ? new Uint8Array(data.buffer, data.byteOffset, data.length)
      : data;
  if (!TYPES.some((type) => plain instanceof (type as unknown as new () => unknown))) {
    throw new ArgumentError(
      `predict: found ${describe(data)} for ${name}.data, expected ${expected}`,
    );
  }
  return { ...(image as Pixels), data: plain as PictureData };
}

/** An array with memory of its own: a message to another thread takes along all that a view lies in. */
function compact<Values extends PictureData>(values: Values): Values {
  return values.byteLength === values.buffer.byteLength ? values : (values.slice() as Values);
}
