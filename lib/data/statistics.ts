/** Mean and standard deviation of modalities over images. Runs in worker threads. */

import { checkArguments } from '../torch/check-arguments.js';
import * as is from '../torch/rules.js';
import { readChannels } from './image.js';
import type { ImageSource } from './image-source.js';
import type { Sample } from './list.js';
import { type ModalitySpec, readPlane } from './modality.js';
import type { Picture } from './picture.js';
import type { Normalisation, Reading } from './plane.js';
import { modalitySpecShape, sampleShape } from './rules.js';
import { WorkerPool } from './worker-pool.js';

/** How many pixels of an image are looked at. */
const SAMPLES = 16_384;
/** Below it a modality says nothing: dividing by it would only make noise loud. */
const LEAST_STD = 0.001;
/** Images that are worth a thread. */
const IMAGES_A_THREAD = 16;

/** Mean of one image's values, and of their squares: one a channel. */
export interface Moments {
  readonly mean: readonly number[];
  readonly square: readonly number[];
}

/**
 * Moments of what an image's pixels read as, in [0, 1], over those that were measured; null where none
 * was.
 */
export function momentsOf({
  data,
  channels,
  offset,
  divisor,
  bounds,
  invalid,
}: Reading): Moments | null {
  const [least, greatest] = bounds;
  const mean = Array<number>(channels).fill(0);
  const square = Array<number>(channels).fill(0);
  const pixels = data.length / channels;
  // Odd, so that the columns of no usual width are passed over.
  const step = Math.floor(pixels / SAMPLES) | 1;
  let count = 0;
  for (let pixel = 0; pixel < pixels; pixel += step) {
    const at = pixel * channels;
    if (data[at] === invalid || Number.isNaN(data[at])) continue;
    count++;
    for (let c = 0; c < channels; c++) {
      const value = Math.min(Math.max((data[at + c]! - offset) / divisor, least), greatest);
      mean[c]! += value;
      square[c]! += value * value;
    }
  }
  if (count === 0) return null;
  return { mean: mean.map((sum) => sum / count), square: square.map((sum) => sum / count) };
}

/** Moments of a scene's modalities; null where a file cannot be read: that is the check's to tell. */
export async function sceneMoments(
  { files }: Sample,
  modalities: readonly (ModalitySpec | null)[],
): Promise<(Moments | null)[]> {
  const pictures = new Map<ImageSource, Promise<Picture>>();
  const channels = (file: ImageSource) => {
    const made = pictures.get(file) ?? readChannels(file);
    pictures.set(file, made);
    return made;
  };
  const found: (Moments | null)[] = [];
  for (const [m, spec] of modalities.entries()) {
    const plane = spec && (await readPlane(spec, files[m]!, channels).catch(() => null));
    found.push(plane && momentsOf(plane));
  }
  return found;
}

/**
 * The normalisation that gives each modality mean 0 and standard deviation 1 over all of the images,
 * every image counting the same; of three digits, so that it is the same everywhere. Null for a
 * modality that is not asked for (null), cannot be read or is constant.
 *
 * `workers` is how many threads there are at most; it never changes a value.
 */
export async function measureNormalisation(
  samples: readonly Sample[],
  modalities: readonly (ModalitySpec | null)[],
  options: { workers: number; signal?: AbortSignal | undefined },
): Promise<(Normalisation | null)[]> {
  checkArguments(
    'measureNormalisation',
    { samples, modalities, options },
    {
      samples: is.listOf(sampleShape),
      modalities: is.listOf(is.orNull(modalitySpecShape)),
      options: is.shape('options', { workers: is.finite }),
    },
  );
  const { workers, signal } = options;

  const threads = Math.min(workers, Math.floor(samples.length / IMAGES_A_THREAD));
  const entry = new URL('./statistics-worker.js', import.meta.url);
  const pool =
    threads === 0 ? null : new WorkerPool<Sample, (Moments | null)[]>(entry, threads, modalities);
  const stop = () => void pool?.close(signal?.reason);
  signal?.addEventListener('abort', stop, { once: true });
  try {
    const scenes = pool
      ? await Promise.all(samples.map((sample, index) => pool.run(sample, index)))
      : await oneByOne(samples, (sample) => {
          signal?.throwIfAborted();
          return sceneMoments(sample, modalities);
        });
    return modalities.map((_, m) => normalisationFrom(scenes.flatMap((scene) => scene[m] ?? [])));
  } finally {
    signal?.removeEventListener('abort', stop);
    await pool?.close();
  }
}

function normalisationFrom(images: readonly Moments[]): Normalisation | null {
  const [first] = images;
  if (first === undefined) return null;
  const average = (key: keyof Moments, c: number) =>
    images.reduce((sum, image) => sum + image[key][c]!, 0) / images.length;
  const mean = first.mean.map((_, c) => average('mean', c));
  const std = mean.map((centre, c) =>
    Math.sqrt(Math.max(0, average('square', c) - centre * centre)),
  );
  if (std.some((each) => each < LEAST_STD)) return null;
  return { mean: mean.map(rounded), std: std.map(rounded) };
}

function rounded(value: number): number {
  return Number(value.toPrecision(3));
}

async function oneByOne<Item, Result>(
  items: readonly Item[],
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  for (const item of items) results.push(await work(item));
  return results;
}
