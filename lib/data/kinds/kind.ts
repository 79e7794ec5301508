import type { ImageSource } from '../image-source.js';
import type { Channel, ModalitySpec } from '../modality.js';
import type { Picture } from '../picture.js';
import type { Interpolation, Normalisation, Reading } from '../plane.js';

/** Keys of a modality that not every kind has a meaning for. */
export type KindKey = 'invalid' | 'channel' | 'jitter.offset';

/** What a modality asks of its kind, checked: `range` in raw values. */
export interface ReadRequest extends Pick<ModalitySpec, 'name'> {
  readonly file: ImageSource;
  readonly channel: Channel | null;
  readonly range: readonly [number, number] | null;
  /** Raw values that mean "nothing measured", all finite. */
  readonly holes: readonly number[];
  /** All channels of an image file, which several modalities may be made of. */
  channels(file: ImageSource): Promise<Picture>;
}

/**
 * What pixels of one kind mean. All that reads, resizes, augments, fills and draws modalities asks
 * here: a new kind is a file beside this one and its line in the registry.
 */
export interface ModalityKind {
  /** In a few words, for the reference of configurations. */
  readonly description: string;
  /** Values a pixel. Models are given three: one is repeated. */
  readonly channels: 1 | 3;
  /** Of training crops and resizing alike. Three channels are mixed. */
  readonly interpolation: Interpolation;
  /** The default normalisation. */
  readonly mean: number | readonly number[];
  readonly std: number | readonly number[];
  /**
   * Whether an experiment measures the normalisation on its own images instead: not where pretrained
   * encoders expect the default.
   */
  readonly measured: boolean;
  readonly keys: readonly KindKey[];
  /** Whether the light changes its values, so that training may brighten, darken and fade it. */
  readonly photometric: boolean;
  /** What the fill `mean` stands for in [0, 1]; null: what the normalisation subtracts. */
  readonly middle: number | null;
  /** @throws DataError as the readers of images */
  read(request: ReadRequest): Promise<Reading>;
  /**
   * How an input looks: RGB, three bytes a pixel.
   * @param values [channels, pixels], normalised
   */
  paint(values: Float32Array, normalisation: Normalisation): Uint8Array;
}
