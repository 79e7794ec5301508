import { IGNORE_LABEL } from './classes.js';
import { DataError } from './errors.js';
import { type ListOptions, readList, type Sample } from './list.js';
import type { ModalitySpec } from './modality.js';

export interface DatasetOptions {
  readonly samples: readonly Sample[];
  readonly modalities: readonly ModalitySpec[];
  /** Labels must lie in 0 .. numClasses − 1, or be 255 (ignore). At most 255. Needed with labels. */
  readonly numClasses?: number;
  /**
   * Subtracted from raw labels; raw values below it become void. 1 for SUN RGB-D, whose files hold
   * 1..37 with 0 void. Default 0.
   */
  readonly labelOffset?: number;
  /**
   * [height, width] that every image is resized to before all else (RGB antialiased, depth and
   * labels nearest). Labels of an evaluation stay as they are. Absent: as stored.
   */
  readonly resize?: readonly [number, number];
}

/** Which files make up a data set and how to read them. Plain data: decoding is the loader's work. */
export class ListDataset {
  readonly samples: readonly Sample[];
  readonly modalities: readonly ModalitySpec[];
  readonly numClasses: number;
  readonly labelOffset: number;
  readonly resize: readonly [number, number] | null;
  /** Whether the samples have labels: all or none have. */
  readonly labelled: boolean;

  /** @throws DataError M3L_LIST_EMPTY, M3L_DATA_OPTIONS */
  constructor(options: DatasetOptions) {
    const { samples, modalities, numClasses = IGNORE_LABEL, labelOffset = 0 } = options;
    if (samples.length === 0) {
      throw new DataError('M3L_LIST_EMPTY', 'found no sample, expected at least one.');
    }
    if (modalities.length === 0) throw invalid('found no modality, expected at least one.');
    if (!(Number.isInteger(numClasses) && numClasses >= 1 && numClasses <= IGNORE_LABEL)) {
      throw invalid(`numClasses: found ${numClasses}, expected an integer from 1 to 255.`);
    }
    if (!(Number.isInteger(labelOffset) && labelOffset >= 0)) {
      throw invalid(`labelOffset: found ${labelOffset}, expected 0, or 1 where labels start at 1.`);
    }
    const odd = samples.find((sample) => sample.files.length !== modalities.length);
    if (odd) {
      throw invalid(
        `sample ${odd.name}: found ${odd.files.length} images, expected ${modalities.length} ` +
          `(${modalities.map((spec) => spec.name).join(', ')}).`,
      );
    }
    const withLabel = samples.filter((sample) => sample.label !== null).length;
    if (withLabel !== 0 && withLabel !== samples.length) {
      throw invalid(
        `found ${withLabel} samples with a label among ${samples.length}, expected all or none. ` +
          'Keep labelled and unlabelled samples in two data sets.',
      );
    }
    this.samples = samples;
    this.modalities = modalities;
    this.numClasses = numClasses;
    this.labelOffset = labelOffset;
    this.resize = options.resize ?? null;
    this.labelled = withLabel > 0;
  }

  /** A data set of a list file; see `readList` and the constructor. */
  static fromList(
    file: string,
    options: Omit<DatasetOptions, 'samples'> & Omit<ListOptions, 'modalities' | 'names'>,
  ): ListDataset {
    const { root, labelled, ...rest } = options;
    const names = rest.modalities.map((spec) => spec.name);
    const samples = readList(file, { root, labelled, modalities: names.length, names });
    return new ListDataset({ ...rest, samples });
  }

  get length(): number {
    return this.samples.length;
  }
}

function invalid(message: string): DataError {
  return new DataError('M3L_DATA_OPTIONS', message);
}
