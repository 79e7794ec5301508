/**
 * From files to the arrays of one sample: decode (with a bounded cache), check, augment. Runs on the
 * main thread and in workers alike, and so imports nothing of torch.
 */

import {
  drawGeometry,
  type Geometry,
  resizeGeometry,
  sampleColour,
  sampleDepth,
  sampleLabels,
  type Transform,
  validMask,
} from './augment.js';
import { IGNORE_LABEL } from './classes.js';
import { DataError } from './errors.js';
import { type Picture, readLabels } from './image.js';
import type { Sample } from './list.js';
import { type ModalitySpec, type Plane, readPlane } from './modality.js';
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

/** The arrays of one sample. */
export interface LoadedSample {
  readonly name: string;
  readonly height: number;
  readonly width: number;
  /** RGB: [3, height, width], normalised; depth: [height, width] in [0, 1]. */
  readonly planes: readonly Float32Array[];
  /** [labelHeight, labelWidth], 255 = ignore; null where unlabelled. */
  readonly label: Uint8Array | null;
  readonly labelHeight: number;
  readonly labelWidth: number;
  /** [height, width], 0 where padded; null in evaluation. */
  readonly valid: Uint8Array | null;
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
    const decoded = await this.decoded(task);
    const { transform, seed, modalities } = this.options;
    const training = transform.kind === 'training';
    let geometry: Geometry;
    if (training) {
      const random = new Random(Stream.augmentation, seed, task.epoch, task.position);
      geometry = drawGeometry(decoded.width, decoded.height, transform, random);
    } else {
      const [height, width] = transform.size ?? [decoded.height, decoded.width];
      geometry = resizeGeometry(width, height);
    }
    const planes = modalities.map((spec, m) => {
      const sample = spec.kind === 'rgb' ? sampleColour : sampleDepth;
      return sample(decoded.planes[m]!, geometry);
    });
    const { label } = decoded;
    const cropped =
      label && training
        ? sampleLabels(label.data, label.width, label.height, geometry, IGNORE_LABEL)
        : (label?.data.slice() ?? null);
    return {
      name: task.sample.name,
      height: geometry.height,
      width: geometry.width,
      planes,
      label: cropped,
      labelHeight: training ? geometry.height : (label?.height ?? 0),
      labelWidth: training ? geometry.width : (label?.width ?? 0),
      valid: training ? validMask(geometry) : null,
    };
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
      label: resized && { ...resized, data: resized.data as Uint8Array },
      bytes: bytes + (resized?.data.byteLength ?? 0),
    };
  }

  /** Raw label values to classes 0 .. numClasses − 1 and 255. */
  private checkLabels(file: string, label: Picture): Picture {
    const { numClasses, labelOffset } = this.options;
    const data = new Uint8Array(label.data.length);
    for (let i = 0; i < data.length; i++) {
      const raw = label.data[i]!;
      const value = raw - labelOffset;
      if (raw === IGNORE_LABEL || value < 0) data[i] = IGNORE_LABEL;
      else if (value < numClasses) data[i] = value;
      else throw this.labelRange(file, label, raw, i);
    }
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
