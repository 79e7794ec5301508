/** What a reader of image files is: one file of this folder and a line in its registry. */

import type { Picture, PictureHeader } from '../picture.js';

/** A file that is being read, of which a header needs a few pieces. */
export interface ImageFile {
  readonly name: string;
  readonly size: number;
  /** The first 64 KiB, or all there is. */
  readonly start: Buffer;
  /** Up to `length` bytes from `position`: fewer where the file ends. */
  read(position: number, length: number): Promise<Buffer>;
}

/** Width and height before the orientation is applied. */
export interface StoredHeader extends PictureHeader {
  /** Bits of a sample below 8: brightness is stretched to 8 where they are colours. */
  readonly bits?: number;
  /** Whether values change by saving, as those of a JPEG do. */
  readonly lossy?: boolean;
}

/**
 * A reader throws an `Error` with the reason where a file is damaged, and `UnsupportedImage` for what
 * it does not read; who calls it adds the file's name.
 */
export interface ImageReader<Header extends StoredHeader = StoredHeader> {
  /** What its files are called in messages. */
  readonly name: string;
  /** What of them it reads: one line, for the reference of configurations. */
  readonly summary: string;
  /** Whether a file that starts so is one of its. Names do not count. */
  recognises(start: Buffer): boolean;
  /** Reads no more of the file than it needs. */
  header(file: ImageFile): Promise<Header>;
  /** All channels, as stored. The header's sizes have been checked against `MAX_PIXELS`. */
  decode(bytes: Buffer, header: Header): Promise<Picture>;
}

/** A whole image that is of a kind no reader takes. */
export class UnsupportedImage extends Error {
  constructor(
    /** e.g. `a BMP file`. */
    readonly found: string,
    readonly mend = 'Convert it to PNG, or to TIFF or .npy where its values are not integers of 8 or 16 bits.',
  ) {
    super(found);
  }
}

/** An image may have so many pixels; what claims more is taken for damaged. */
export const MAX_PIXELS = 2 ** 28;

/** The bytes as an array without the offset, sliced as arrays are and not as Buffers. */
export function plainBytes({ buffer, byteOffset, byteLength }: Buffer): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
