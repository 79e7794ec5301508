import { checkArguments } from '../torch/check-arguments.js';
import * as is from '../torch/rules.js';
import { IGNORE_LABEL } from './classes.js';
import { DataError } from './errors.js';
import { type LabelOptions, type LabelRule, labelRule } from './label-rule.js';
import { type ListOptions, readList, type Sample } from './list.js';
import { checkModality, type ModalitySpec } from './modality.js';
import { datasetOptionsShape, modalitySpecShape } from './rules.js';

/** What a data set is made of. */
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
  /** Which class other raw values are, or colours. */
  readonly labels?: LabelOptions;
  /** The names that `labels.map` may use, in the order of the classes. */
  readonly classNames?: readonly string[];
  /**
   * [height, width] that every image is resized to before all else (RGB antialiased, depth and
   * labels nearest). Labels of an evaluation stay as they are. Absent: as stored.
   */
  readonly resize?: readonly [number, number];
  /** Without `resize`: the modality whose size the others are brought to. Absent: sizes must agree. */
  readonly align?: string;
}

/** Which files make up a data set and how to read them. Plain data: decoding is the loader's work. */
export class ListDataset {
  readonly samples: readonly Sample[];
  readonly modalities: readonly ModalitySpec[];
  readonly numClasses: number;
  readonly labelRule: LabelRule;
  readonly resize: readonly [number, number] | null;
  readonly align: string | null;
  /** Whether the samples have labels: all or none have. */
  readonly labelled: boolean;

  /** @throws DataError M3L_LIST_EMPTY, M3L_DATA_OPTIONS */
  constructor(options: DatasetOptions) {
    checkArguments('ListDataset', { options }, { options: datasetOptionsShape });

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
    for (const spec of modalities) checkModality(spec);
    const { align = null, resize = null, labels, classNames } = options;
    if (align !== null && !modalities.some(({ name }) => name === align)) {
      const names = modalities.map(({ name }) => name).join(', ');
      throw invalid(`align: found '${align}', expected one of ${names}.`);
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
    this.labelRule = labelRule({ numClasses, labelOffset, labels, classNames });
    this.resize = resize;
    this.align = align;
    this.labelled = withLabel > 0;
  }

  /** A data set of a list file; see `readList` and the constructor. */
  static fromList(
    file: string,
    options: Omit<DatasetOptions, 'samples'> & Omit<ListOptions, 'modalities' | 'names'>,
  ): ListDataset {
    checkArguments(
      'ListDataset.fromList',
      { file, options },
      {
        file: is.text,
        options: is.shape('options', {
          modalities: is.listOf(modalitySpecShape),
          root: is.either(is.text, is.listOf(is.text)),
        }),
      },
    );

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
