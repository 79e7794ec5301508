import { EvaluationError } from '../../evaluation/errors.js';
import type { FrameFormat } from './frame-format.js';

/** Bytes of a JPEG, at most. */
const MOST_JPEG = 64 << 20;

/** Cuts a stream of bytes into frames. */
export interface FrameSplitter {
  /** The frames that are whole with these bytes, each in memory of its own. */
  push(chunk: Buffer): Buffer[];
  /** Bytes of a frame that is not whole. */
  readonly rest: number;
}

export function frameSplitter(format: FrameFormat): FrameSplitter {
  return format.kind === 'raw' ? new RawSplitter(format.bytes) : new JpegSplitter();
}

/** Frames that all have the same size. */
class RawSplitter implements FrameSplitter {
  readonly #bytes: number;
  #frame: Buffer | null = null;
  #filled = 0;

  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  get rest(): number {
    return this.#filled;
  }

  push(chunk: Buffer): Buffer[] {
    // As files are read: a frame at once, which nothing else lies beside.
    if (this.#filled === 0 && chunk.buffer.byteLength === this.#bytes) {
      if (chunk.length === this.#bytes) return [chunk];
    }
    const frames: Buffer[] = [];
    for (let at = 0; at < chunk.length; ) {
      this.#frame ??= Buffer.allocUnsafeSlow(this.#bytes);
      const count = chunk.copy(this.#frame, this.#filled, at);
      at += count;
      this.#filled += count;
      if (this.#filled < this.#bytes) break;
      frames.push(this.#frame);
      this.#frame = null;
      this.#filled = 0;
    }
    return frames;
  }
}

/**
 * JPEGs one after another: from a start of image (FF D8) to its end (FF D9). Segments, thumbnails in
 * them too, are gone over by their lengths; within the picture FF stands before 00 or a restart.
 */
class JpegSplitter implements FrameSplitter {
  /** Where the pending bytes lie, with room for more. */
  #memory = Buffer.alloc(0);
  #pending: Buffer = this.#memory;
  /** Up to where the pending bytes were looked at, and whether that is within the picture. */
  #at = 0;
  #inPicture = false;

  get rest(): number {
    return this.#at === 0 ? 0 : this.#pending.length;
  }

  push(chunk: Buffer): Buffer[] {
    this.#append(chunk);
    const frames: Buffer[] = [];
    for (let end = this.#end(); end !== null; end = this.#end()) {
      frames.push(Buffer.from(this.#pending.subarray(0, end)));
      this.#drop(end);
    }
    if (this.#pending.length <= MOST_JPEG) return frames;
    throw new EvaluationError(
      'M3L_STREAM_FORMAT',
      `found ${this.#pending.length} bytes without the end of a JPEG, expected MJPEG. Say how frames are written: --frames NAME=rgb24:640x480.`,
    );
  }

  #append(chunk: Buffer): void {
    const length = this.#pending.length + chunk.length;
    let start = this.#pending.byteOffset - this.#memory.byteOffset;
    if (start + length > this.#memory.length) {
      // Twice what is needed, or each chunk of a large frame would copy all that came before it.
      this.#memory = Buffer.allocUnsafeSlow(2 * length);
      this.#pending.copy(this.#memory);
      start = 0;
    }
    chunk.copy(this.#memory, start + this.#pending.length);
    this.#pending = this.#memory.subarray(start, start + length);
  }

  /** Where the first frame ends; null where it is not whole. */
  #end(): number | null {
    if (this.#at === 0) {
      const start = this.#pending.indexOf('\xff\xd8', 0, 'latin1');
      if (start < 0) {
        // The last byte may be the first of a start.
        this.#drop(Math.max(0, this.#pending.length - 1));
        return null;
      }
      this.#drop(start);
      this.#at = 2;
    }
    while (true) {
      if (this.#inPicture) {
        this.#at = this.#pending.indexOf(0xff, this.#at);
        if (this.#at < 0) this.#at = this.#pending.length;
      }
      if (this.#at + 4 > this.#pending.length) return this.#endsHere() ? this.#at + 2 : null;
      if (this.#endsHere()) return this.#at + 2;
      this.#step();
    }
  }

  #endsHere(): boolean {
    return this.#pending[this.#at] === 0xff && this.#pending[this.#at + 1] === 0xd9;
  }

  #step(): void {
    const [first, marker] = [this.#pending[this.#at], this.#pending[this.#at + 1]!];
    const bare = marker === 0 || marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8);
    if (first !== 0xff || marker === 0xff) this.#at += 1;
    else if (bare) this.#at += 2;
    else {
      this.#inPicture = marker === 0xda;
      this.#at += 2 + this.#pending.readUInt16BE(this.#at + 2);
    }
  }

  #drop(count: number): void {
    this.#pending = this.#pending.subarray(count);
    this.#at = 0;
    this.#inPicture = false;
  }
}
