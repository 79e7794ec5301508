/** One sensor of a stream: its latest frame, and whether it can be believed. */
import type { Readable } from 'node:stream';
import sharp from 'sharp';
import { reasonOf } from '../errors.js';
import type { PredictorImage } from '../predictor/images.js';
import { type FrameFormat, frameText, imageOf } from './frame-format.js';
import { type FrameSplitter, frameSplitter } from './frame-splitter.js';

/** Why a sensor is not looked at; null: it is. */
export type Fault = 'silent' | 'ended' | 'constant' | 'unreadable';

/** Brightness of so few levels is a covered lens: of 8 bits, with what JPEG adds. */
const CONSTANT_LEVELS = 4;

/** Frames that wait where every one is wanted. */
const MOST_QUEUED = 4;

/** Reads frames as they come. */
export class Sensor {
  readonly name: string;
  readonly #format: FrameFormat;
  readonly #input: Readable;
  readonly #splitter: FrameSplitter;
  #received = 0;
  #queue: Buffer[] = [];
  #wake: () => void = () => {};
  /** When the last frame came, or since when one is waited for; performance.now(). */
  lastCame = performance.now();
  frames = 0;
  dropped = 0;
  ended = false;
  error: unknown = null;

  /** @param everyFrame whether frames wait until they are taken; otherwise the latest alone is kept */
  constructor(name: string, format: FrameFormat, input: Readable, everyFrame: boolean) {
    this.name = name;
    this.#format = format;
    this.#input = input;
    this.#splitter = frameSplitter(format);
    void this.#read(everyFrame);
  }

  /** What came that was no frame, or kept one from coming; null where all that came was frames. */
  get reason(): string | null {
    if (this.error !== null) return reasonOf(this.error);
    const { rest } = this.#splitter;
    const say =
      this.#format.kind === 'mjpeg'
        ? `raw pixels want their size, --frames ${this.name}=rgb24:WIDTHxHEIGHT`
        : `another size is said by --frames ${this.name}=${this.#format.pixels}:WIDTHxHEIGHT`;
    const frame = frameText(this.#format);
    if (this.#received === 0) return this.ended ? 'nothing came' : null;
    if (this.frames === 0)
      return `${this.#received} bytes came, expected at least one frame (${frame}); ${say}`;
    if (rest === 0 || !this.ended) return null;
    return `the last ${rest} bytes are no whole frame (${frame}): it was cut off; ${say}`;
  }

  get waiting(): number {
    return this.#queue.length;
  }

  onChange(wake: () => void): void {
    this.#wake = wake;
  }

  /** The next frame, or null where none waits. */
  take(): PredictorImage | null {
    const frame = this.#queue.shift();
    if (frame === undefined) return null;
    // What waited here was no silence of the sensor's.
    if (this.#queue.length === 0) this.lastCame = performance.now();
    this.#resume();
    return imageOf(this.#format, frame);
  }

  close(): void {
    this.#input.destroy();
    this.#resume();
  }

  #resume: () => void = () => {};

  async #read(everyFrame: boolean): Promise<void> {
    try {
      for await (const chunk of this.#input) {
        this.#received += (chunk as Buffer).length;
        for (const frame of this.#splitter.push(chunk as Buffer)) {
          this.frames += 1;
          this.lastCame = performance.now();
          if (everyFrame) {
            while (this.#queue.length >= MOST_QUEUED && !this.#input.destroyed) {
              await new Promise<void>((resolve) => {
                this.#resume = resolve;
              });
            }
          } else this.dropped += this.#queue.splice(0).length;
          this.#queue.push(frame);
          this.#wake();
        }
      }
    } catch (error) {
      if (!this.#input.destroyed || this.#input.errored !== null) this.error = error;
    }
    this.ended = true;
    this.#wake();
  }
}

/** Whether an image says nothing: one value, or of 8 bits hardly more. Throws where it cannot be decoded. */
export async function isConstant(image: PredictorImage): Promise<boolean> {
  if (image instanceof Uint8Array) {
    const { channels } = await sharp(image, { failOn: 'error' }).stats();
    return channels.every(({ min, max }) => max - min <= CONSTANT_LEVELS);
  }
  const { data, channels = 1 } = image;
  const most = data instanceof Uint8Array ? CONSTANT_LEVELS : 0;
  for (let channel = 0; channel < Math.min(channels, 3); channel++) {
    let [least, greatest] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (let at = channel; at < data.length; at += channels) {
      least = Math.min(least, data[at]!);
      greatest = Math.max(greatest, data[at]!);
      if (greatest - least > most) return false;
    }
  }
  return true;
}
