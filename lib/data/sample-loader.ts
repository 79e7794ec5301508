/**
 * From files to the arrays of one sample: decode (with a bounded cache), check, augment. Runs on the
 * main thread and in workers alike, and so imports nothing of torch.
 */

import { sampleColour, sampleDepth, sampleLabels, validMask } from './augment.js';
import { IGNORE_LABEL } from './classes.js';
import { DataError } from './errors.js';
import {
  drawGeometry,
  type Geometry,
  type Rectangle,
  resizeGeometry,
  sourceRectangle,
  type Transform,
} from './geometry.js';
import { readLabels } from './image.js';
import type { Sample } from './list.js';
import {
  jittered,
  jitterOf,
  type ModalitySpec,
  type Plane,
  readPlane,
  smallIntegers,
} from './modality.js';
import { native } from './native.js';
import { emptyLike, type Picture } from './picture.js';
import { Random, Stream } from './random.js';
import { resizeNearest, resizeSmooth } from './resize.js';

/** What a loader needs besides the samples; can be sent to a worker. */
export interface SampleLoaderOptions {
  readonly modalities: readonly ModalitySpec[];
  readonly numClasses: number;
  readonly labelOffset: number;
  readonly resize: readonly [number, number] | null;
  readonly transform: Transform;
  readonly seed: number;
  /** Decoded images are kept up to this many bytes. */
  readonly cacheBytes: number;
}

/** One sample to load. (epoch, position) is what its augmentation is drawn from. */
export interface SampleTask {
  readonly sample: Sample;
  readonly index: number;
  readonly epoch: number;
  readonly position: number;
}

/** What both forms of a sample say: its name and the sizes of what it becomes. */
interface SampleShape {
  readonly name: string;
  readonly height: number;
  readonly width: number;
  /** 0 where unlabelled. */
  readonly labelHeight: number;
  readonly labelWidth: number;
}

/** The arrays of one sample, augmented. */
export interface LoadedSample extends SampleShape {
  /** RGB: [3, height, width], normalised; depth: [height, width] in [0, 1]. */
  readonly planes: readonly Float32Array[];
  /** [labelHeight, labelWidth], 255 = ignore; null where unlabelled. */
  readonly label: Uint8Array | null;
  /** [height, width], 0 where padded; null in evaluation. */
  readonly valid: Uint8Array | null;
}

/** The stored pixels that one sample is made of, and how: what `augmentBatch` works on. */
export interface RawSample extends SampleShape {
  readonly training: boolean;
  readonly geometry: Geometry;
  /** [height, width] of the whole picture; `rectangle` is the part of it that the planes hold. */
  readonly source: readonly [number, number];
  readonly rectangle: Rectangle;
  /** Cut to `rectangle`; offset and divisor are still those of the whole picture. */
  readonly planes: readonly Plane[];
  /** Classes 0 .. numClasses − 1 and 255; cut to `rectangle` in training, whole in evaluation. */
  readonly label: Uint8Array | null;
}

interface DecodedSample {
  readonly width: number;
  readonly height: number;
  readonly planes: readonly Plane[];
  readonly label: { width: number; height: number; data: Uint8Array } | null;
  readonly bytes: number;
}

export class SampleLoader {
  private readonly cache = new Map<number, DecodedSample>();
  private cachedBytes = 0;

  constructor(private readonly options: SampleLoaderOptions) {}

  /** @throws DataError as `readPlane` and `readLabels`, M3L_SIZE_MISMATCH, M3L_LABEL_RANGE */
  async load(task: SampleTask): Promise<LoadedSample> {
    const { decoded, geometry, shape } = await this.prepare(task);
    const { modalities, transform } = this.options;
    const training = transform.kind === 'training';
    const { label } = decoded;
    return {
      ...shape,
      planes: modalities.map((spec, m) => {
        const sample = spec.kind === 'rgb' ? sampleColour : sampleDepth;
        return sample(decoded.planes[m]!, geometry);
      }),
      label:
        label && training
          ? sampleLabels(label.data, label.width, label.height, geometry, IGNORE_LABEL)
          : (label?.data.slice() ?? null),
      valid: training ? validMask(geometry) : null,
    };
  }

  /** The same sample before the augmentation: copies of the pixels that it asks for. Throws as `load`. */
  async loadRaw(task: SampleTask): Promise<RawSample> {
    const { decoded, geometry, shape } = await this.prepare(task);
    const { width, height, planes, label } = decoded;
    const training = this.options.transform.kind === 'training';
    const rectangle = sourceRectangle(width, height, geometry);
    return {
      ...shape,
      training,
      geometry,
      source: [height, width],
      rectangle,
      planes: planes.map((plane) => cut(plane, rectangle)),
      label:
        label && training
          ? cut({ ...label, channels: 1 }, rectangle).data
          : (label?.data.slice() ?? null),
    };
  }

  private async prepare(
    task: SampleTask,
  ): Promise<{ decoded: DecodedSample; geometry: Geometry; shape: SampleShape }> {
    const decoded = await this.decoded(task);
    const { transform, seed } = this.options;
    const training = transform.kind === 'training';
    let geometry: Geometry;
    if (training) {
      const random = new Random(Stream.augmentation, seed, task.epoch, task.position);
      geometry = drawGeometry(decoded.width, decoded.height, transform, random);
    } else {
      const [height, width] = transform.size ?? [decoded.height, decoded.width];
      geometry = resizeGeometry(width, height);
    }
    const { height, width } = geometry;
    const label = training ? geometry : (decoded.label ?? { height: 0, width: 0 });
    return {
      decoded: training ? { ...decoded, planes: this.moved(decoded.planes, task) } : decoded,
      geometry,
      shape: {
        name: task.sample.name,
        height,
        width,
        labelHeight: label.height,
        labelWidth: label.width,
      },
    };
  }

  private moved(planes: readonly Plane[], { epoch, position }: SampleTask): readonly Plane[] {
    const { modalities, seed } = this.options;
    return planes.map((plane, m) => {
      const spec = modalities[m]!;
      if (spec.jitter === undefined) return plane;
      return jittered(plane, jitterOf(spec), new Random(Stream.jitter, seed, epoch, position, m));
    });
  }

  private async decoded({ sample, index }: SampleTask): Promise<DecodedSample> {
    const known = this.cache.get(index);
    if (known) {
      // A Map keeps the order of insertion: put back at its end, the front is the least recently used.
      this.cache.delete(index);
      this.cache.set(index, known);
      return known;
    }
    const fresh = await this.decode(sample);
    // The same sample may have been decoded meanwhile, and must not be counted twice.
    this.cachedBytes -= this.cache.get(index)?.bytes ?? 0;
    this.cache.set(index, fresh);
    this.cachedBytes += fresh.bytes;
    for (const [oldest, { bytes }] of this.cache) {
      if (this.cachedBytes <= this.options.cacheBytes) break;
      this.cache.delete(oldest);
      this.cachedBytes -= bytes;
    }
    return fresh;
  }

  private async decode(sample: Sample): Promise<DecodedSample> {
    const { modalities, resize, transform } = this.options;
    const [label, ...read] = await Promise.all([
      sample.label === null ? null : readLabels(sample.label),
      ...modalities.map((spec, m) => readPlane(spec, sample.files[m]!)),
    ]);
    const first = read[0]!;
    const others = [...read.slice(1), ...(label ? [label] : [])];
    const files = [...sample.files.slice(1), sample.label];
    others.forEach((other, k) => {
      if (other.width === first.width && other.height === first.height) return;
      throw sizeMismatch(sample.files[0]!, first, files[k]!, other);
    });
    const planes = resize
      ? read.map((plane, m) =>
          modalities[m]!.kind === 'rgb'
            ? resizeSmooth(plane, ...resize)
            : resizeNearest(plane, ...resize),
        )
      : read;
    const classes = label && this.checkLabels(sample.label!, label);
    const resized =
      classes && resize && transform.kind === 'training'
        ? resizeNearest(classes, ...resize)
        : classes;
    const { width, height } = planes[0]!;
    const bytes = planes.reduce((sum, plane) => sum + plane.data.byteLength, 0);
    return {
      width,
      height,
      planes,
      label: resized,
      bytes: bytes + (resized?.data.byteLength ?? 0),
    };
  }

  /** Raw label values to classes 0 .. numClasses − 1 and 255. */
  private checkLabels(file: string, label: Picture): Picture & { data: Uint8Array } {
    const { numClasses, labelOffset } = this.options;
    if (label.channels !== 1) {
      throw new DataError(
        'M3L_LABEL_FORMAT',
        `${file}: found a colour image, expected a grey or palette image that holds class numbers.`,
      );
    }
    const from = smallIntegers(file, label).data;
    // Nobody else has the decoded bytes: they become the classes where they are.
    const data = from instanceof Uint8Array ? from : new Uint8Array(from.length);
    const wrong = native().toClasses(from, numClasses, labelOffset, data);
    if (wrong >= 0) throw this.labelRange(file, label, from[wrong]!, wrong);
    return { ...label, data };
  }

  private labelRange(file: string, label: Picture, raw: number, pixel: number): DataError {
    const { numClasses, labelOffset } = this.options;
    const place = `row ${Math.floor(pixel / label.width)}, column ${pixel % label.width}`;
    const expected = `${labelOffset} to ${numClasses + labelOffset - 1}`;
    const mend =
      labelOffset === 0 && raw === numClasses
        ? 'These labels look as if they started at 1 with 0 for void (as those of SUN RGB-D do): ' +
          'set labelOffset to 1 to shift them.'
        : 'Check numClasses, and that the file holds class numbers, not colours.';
    return new DataError(
      'M3L_LABEL_RANGE',
      `${file}: found label ${raw} (${place}), expected ${expected}, or 255 for void. ${mend}`,
    );
  }
}

function sizeMismatch(file: string, a: Picture, otherFile: string, b: Picture): DataError {
  return new DataError(
    'M3L_SIZE_MISMATCH',
    `${otherFile}: found ${b.width} × ${b.height} pixels, expected ${a.width} × ${a.height} ` +
      `as ${file} has. All images of a sample must be aligned: check the list's line, or resize one.`,
  );
}

/** A copy of a rectangle of a picture. */
function cut<P extends Picture>(picture: P, { left, top, width, height }: Rectangle): P {
  const { channels } = picture;
  const data = emptyLike(picture.data, width * height * channels);
  for (let row = 0; row < height; row++) {
    const from = ((top + row) * picture.width + left) * channels;
    data.set(picture.data.subarray(from, from + width * channels), row * width * channels);
  }
  return { ...picture, width, height, data };
}
