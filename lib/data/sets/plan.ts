/** What a data set is, before and after it is prepared: the terms that each set's file is written in. */

import type { Picture } from '../picture.js';

export const SPLITS = ['train', 'val', 'test'] as const;

export type SplitOfSet = (typeof SPLITS)[number];

/** A file of the prepared set. */
export interface PlannedFile {
  /** Relative to the prepared folder, with forward slashes. */
  readonly path: string;
  /** The raw file that it is, as it stands; or the picture that is made of raw files. */
  readonly source: string | (() => Promise<Picture>);
}

/** One scene: a file for each modality, in the order of the set's configuration, then its label. */
export interface PlannedScene {
  readonly split: SplitOfSet;
  readonly files: readonly PlannedFile[];
  /** What lists hold instead of the files, where the set's configuration has patterns (`data.files`). */
  readonly name?: string;
}

/** All that is to be made of a raw folder. Nothing big is read before a scene's turn comes. */
export interface Plan {
  readonly scenes: readonly PlannedScene[];
  /** What the raw folder lacks, or what is left out of it, in sentences. */
  readonly notes: readonly string[];
  /** Closes what the plan keeps open. */
  close?(): void;
}

export interface PlanOptions {
  /** The prepared folder, which may hold lists already. */
  readonly out: string;
  /** Of the draw where a set names no scenes to validate on. */
  readonly seed: number;
}

/** One data set. A new one is a file beside this one, its line in the registry, and a configuration. */
export interface DataSet {
  readonly title: string;
  /** How its files lie in the raw folder, a line each. */
  readonly layout: readonly string[];
  /** The package's configuration that reads the prepared folder. */
  readonly config: string;
  /** The fractions of training labels that it is used with: 16 for one in 16. */
  readonly fractions: readonly number[];
  /** Whether images of a scene may differ in size, which the configuration then aligns. */
  readonly sizesDiffer?: boolean;
  /** @throws DataError M3L_DATA_SET_RAW where the folder holds something else */
  plan(raw: string, options: PlanOptions): Promise<Plan>;
}
