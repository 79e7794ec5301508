import sharp from 'sharp';
import { nearestPixel, resizeGeometry } from '../data/geometry.js';
import {
  IGNORE_LABEL,
  type InputOptions,
  kindOf,
  type LabelRule,
  type LoadedSample,
  type ModalitySpec,
  type NearestRule,
  normalisationOf,
  type Sample,
  SampleLoader,
  type Transform,
} from '../data/index.js';
import { inputTensors } from '../data/inputs.js';
import type { SampleTask } from '../data/sample-loader.js';
import { datasetOf } from '../experiment/datasets.js';
import type { Config } from '../experiment/index.js';
import { sizingOf } from '../experiment/sizing.js';
import { HttpError } from '../http/errors.js';
import type { Tensor } from '../torch/index.js';
import { ByteCache } from './byte-cache.js';

/** Longer sides are reduced: no screen shows more, and a page of many pictures stays quick. */
export const LONGEST_SIDE = 1024;
/** Smaller pictures are sent as they are, larger ones with a little loss. */
const LOSSLESS = 1 << 18;
/** Of decoded scenes: a few large ones, or a hundred small ones. */
const DECODED = 192 << 20;
/** Of scenes as they are shown, whose pictures and label are asked for one by one. */
const LOADED = 64 << 20;

/** [height, width] that a picture is shown at. */
export function shownSize(height: number, width: number): [number, number] {
  const factor = Math.min(1, LONGEST_SIDE / Math.max(height, width));
  const side = (pixels: number) => Math.max(1, Math.round(pixels * factor));
  return [side(height), side(width)];
}

/** A picture as it is sent. */
export interface SentPicture {
  type: 'image/png' | 'image/webp';
  bytes: Buffer;
}

/** Scenes of a list as pictures and classes: as they are stored, or as a transform makes them. */
export class SceneReader {
  readonly samples: readonly Sample[];
  readonly specs: readonly ModalitySpec[];
  readonly labelRule: LabelRule;
  readonly #loader: SampleLoader;
  readonly #loaded = new ByteCache<LoadedSample>(LOADED, bytesOf);
  readonly #nearest: NearestRule;

  constructor(config: Config, samples: readonly Sample[], transform?: Transform) {
    const { modalities, labelRule, resize, align } = datasetOf(config, samples);
    this.samples = samples;
    this.specs = modalities;
    this.labelRule = labelRule;
    const { nearest } = sizingOf(config);
    this.#nearest = nearest;
    this.#loader = new SampleLoader({
      modalities,
      labelRule,
      resize,
      align,
      transform: transform ?? { kind: 'evaluation', nearest },
      seed: config.seed,
      cacheBytes: DECODED,
    });
  }

  /** @throws HttpError 404 of a scene that is not in the list */
  sample(index: number): Sample {
    const sample = this.samples[index];
    if (sample !== undefined) return sample;
    throw new HttpError(
      404,
      'M3L_SCENE_MISSING',
      `there is no scene ${index + 1}: the list holds ${this.samples.length}.`,
    );
  }

  /** @param draw which of the augmentations, where the transform draws */
  load(index: number, draw = 0): Promise<LoadedSample> {
    const task = this.#task(index, draw);
    return this.#loaded.get(`${index} ${draw}`, () => this.#loader.load(task));
  }

  /** How often a scene was decoded. */
  get decodes(): number {
    return this.#loader.decodes;
  }

  /**
   * What a network is given of a scene as it is stored: M × [1, 3, H, W] as of `loadInputs`, null where
   * a modality is missing.
   * @param missing indices
   */
  async inputs(
    index: number,
    missing: readonly number[],
    { size, device }: Pick<InputOptions, 'size' | 'device'>,
  ): Promise<(Tensor | null)[]> {
    const { planes, height, width } = await this.#loader.loadRaw(this.#task(index, 0));
    const [toHeight, toWidth] = size ?? [height, width];
    const given = planes.map((plane, m) => (missing.includes(m) ? null : plane));
    const geometry = resizeGeometry(toWidth, toHeight, this.#nearest);
    return inputTensors(this.specs, given, geometry, device);
  }

  #task(index: number, draw: number): SampleTask {
    return { sample: this.sample(index), index, epoch: draw, position: index };
  }

  /** @throws HttpError 404 of a modality that there is not; DataError of a file */
  async picture(index: number, modality: string, draw = 0): Promise<SentPicture> {
    const m = this.specs.findIndex(({ name }) => name === modality);
    const spec = this.specs[m];
    if (spec === undefined) {
      const known = this.specs.map(({ name }) => name).join(', ');
      throw new HttpError(
        404,
        'M3L_MODALITY_MISSING',
        `found the modality '${modality}', expected ${known}.`,
      );
    }
    const { planes, height, width } = await this.load(index, draw);
    const pixels = kindOf(spec).paint(planes[m]!, normalisationOf(spec));
    return encode(pixels, height, width);
  }

  /**
   * The label at the size that it is shown at.
   * @throws HttpError 404 where there is none
   */
  async label(index: number, draw = 0): Promise<{ classes: Uint8Array; size: [number, number] }> {
    const { label, labelHeight, labelWidth } = await this.load(index, draw);
    if (label === null) {
      throw new HttpError(404, 'M3L_NO_LABEL', `${this.sample(index).name} has no label.`);
    }
    const size = shownSize(labelHeight, labelWidth);
    return { classes: reduced(label, [labelHeight, labelWidth], size), size };
  }
}

function bytesOf({ planes, label }: LoadedSample): number {
  return [...planes, ...(label ? [label] : [])].reduce((sum, each) => sum + each.byteLength, 0);
}

async function encode(pixels: Uint8Array, height: number, width: number): Promise<SentPicture> {
  const [toHeight, toWidth] = shownSize(height, width);
  const raw = sharp(pixels, { raw: { width, height, channels: 3 } });
  const picture = toWidth === width ? raw : raw.resize(toWidth, toHeight);
  if (toHeight * toWidth <= LOSSLESS) {
    return { type: 'image/png', bytes: await picture.png().toBuffer() };
  }
  return { type: 'image/webp', bytes: await picture.webp({ quality: 92 }).toBuffer() };
}

function reduced(
  classes: Uint8Array,
  [height, width]: [number, number],
  [toHeight, toWidth]: [number, number],
): Uint8Array {
  if (toHeight === height && toWidth === width) return classes;
  const out = new Uint8Array(toHeight * toWidth).fill(IGNORE_LABEL);
  const [rowOf, columnOf] = [nearestPixel(height, toHeight), nearestPixel(width, toWidth)];
  for (let row = 0; row < toHeight; row++) {
    for (let column = 0; column < toWidth; column++) {
      out[row * toWidth + column] = classes[rowOf(row) * width + columnOf(column)]!;
    }
  }
  return out;
}
