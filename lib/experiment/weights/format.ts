import type { StateDict } from '../../nn/index.js';
import type { WeightsFile } from './read.js';

/** What weights are wanted for. */
export interface Wanted {
  /** Kinds of the modalities, in order. */
  kinds: readonly string[];
  /** Of a file that holds several networks. */
  network?: string | undefined;
}

/** A way in which others name weights. */
export interface WeightsFormat {
  readonly name: string;
  /** In a few words. */
  readonly title: string;
  /** Whether a file's tensors are named so. */
  fits(file: WeightsFile): boolean;
  /** Networks that the file holds, where it says so by its names. */
  networks?(file: WeightsFile): string[];
  /**
   * The weights by our names; new tensors where names are merged.
   * @throws CheckpointError, ModelError for what the format cannot give
   */
  convert(file: WeightsFile, wanted: Wanted): StateDict;
}
