/**
 * From files to the arrays of one sample: decode (with a bounded cache), check, augment. Runs on the
 * main thread and in workers alike, and so imports nothing of torch.
 */

import { checkArguments } from '../torch/check-arguments.js';
import { sampleLabels, samplePlane, validMask } from './augment.js';
import { drawLabelledGeometry } from './class-share.js';
import { IGNORE_LABEL } from './classes.js';
import {
  drawGeometry,
  type Geometry,
  type Rectangle,
  resizeGeometry,
  sourceRectangle,
  type Transform,
} from './geometry.js';
import type { LabelRule } from './label-rule.js';
import { applyLabelRule, type ClassPicture, readRawLabels } from './labels.js';
import type { Sample } from './list.js';
import { jitterOf, type ModalitySpec } from './modality.js';
import { emptyLike, type Picture } from './picture.js';
import { jittered, type Plane } from './plane.js';
import { Random, Stream } from './random.js';
import { resizeNearest } from './resize.js';
import { sampleLoaderOptionsShape } from './rules.js';
import { checkLabelSize, readScene, type SceneOptions } from './scene.js';

/** What a loader needs besides the samples; can be sent to a worker. */
export interface SampleLoaderOptions extends Omit<SceneOptions, 'nearest'> {
  readonly modalities: readonly ModalitySpec[];
  readonly labelRule: LabelRule;
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
  /** [channels, height, width], normalised. */
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
  readonly label: ClassPicture | null;
  readonly bytes: number;
}

/** Decodes samples, and keeps those that fit into its cache. */
export class SampleLoader {
  private readonly cache = new Map<number, DecodedSample>();
  private readonly decoding = new Map<number, Promise<DecodedSample>>();
  private cachedBytes = 0;
  /** Samples that were read from their files so far. */
  decodes = 0;

  constructor(private readonly options: SampleLoaderOptions) {
    checkArguments('SampleLoader', { options }, { options: sampleLoaderOptionsShape });
  }

  /** @throws DataError as `readScene`, `readRawLabels` and `applyLabelRule` */
  async load(task: SampleTask): Promise<LoadedSample> {
    const { decoded, geometry, shape } = await this.prepare(task);
    const training = this.options.transform.kind === 'training';
    const { label } = decoded;
    return {
      ...shape,
      planes: decoded.planes.map((plane) => samplePlane(plane, geometry)),
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
      label: label && training ? cut(label, rectangle).data : (label?.data.slice() ?? null),
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
      const { width, height, label } = decoded;
      geometry = label
        ? drawLabelledGeometry(label, transform, random)
        : drawGeometry(width, height, transform, random);
    } else {
      const [height, width] = transform.size ?? [decoded.height, decoded.width];
      geometry = resizeGeometry(width, height, transform.nearest);
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
    // Whoever asks for it meanwhile waits for the same.
    const decoding = this.decoding.get(index);
    if (decoding) return decoding;
    const begun = this.decode(sample)
      .then((fresh) => this.keep(index, fresh))
      .finally(() => this.decoding.delete(index));
    this.decoding.set(index, begun);
    return begun;
  }

  private keep(index: number, fresh: DecodedSample): DecodedSample {
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
    this.decodes += 1;
    const { modalities, labelRule, transform, resize, align } = this.options;
    const sizes = { resize, align, nearest: transform.nearest };
    const [scene, raw] = await Promise.all([
      readScene(modalities, sample.files, sizes),
      sample.label === null ? null : readRawLabels(sample.label, labelRule),
    ]);
    let label: ClassPicture | null = null;
    if (raw) {
      checkLabelSize(raw.file, raw, scene, sizes);
      label = applyLabelRule(raw, labelRule);
      if (transform.kind === 'training') {
        label = resizeNearest(label, scene.height, scene.width, transform.nearest);
      }
    }
    const planes = scene.planes as readonly Plane[];
    const arrays = [...planes, ...(label ? [label] : [])].map(({ data }) => data);
    const bytes = arrays.reduce((sum, { byteLength }) => sum + byteLength, 0);
    return { width: scene.width, height: scene.height, planes, label, bytes };
  }
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
