import { EvaluationError } from '../../evaluation/errors.js';
import { nearest } from '../nearest.js';
import type { PredictorImage } from '../predictor/images.js';

/** Raw pixels by the names that ffmpeg calls them. */
const PIXELS = {
  rgb24: { channels: 3, bytes: 1 },
  bgr24: { channels: 3, bytes: 1 },
  rgba: { channels: 4, bytes: 1 },
  gray: { channels: 1, bytes: 1 },
  gray16le: { channels: 1, bytes: 2 },
  gray16be: { channels: 1, bytes: 2 },
} as const;

type PixelName = keyof typeof PIXELS;
const NAMES = ['mjpeg', ...Object.keys(PIXELS)];
/** Pixels of a frame, at most. */
const MOST = 2 ** 26;

/** How the frames of a stream are written: JPEGs one after another, or raw pixels of a size. */
export type FrameFormat =
  | { readonly kind: 'mjpeg' }
  | {
      readonly kind: 'raw';
      readonly pixels: PixelName;
      readonly width: number;
      readonly height: number;
      /** Of a frame. */
      readonly bytes: number;
    };

/**
 * Reads `mjpeg`, or `rgb24:640x480` and the like, width first as ffmpeg has it.
 * @throws EvaluationError M3L_STREAM_FORMAT
 */
export function frameFormat(text: string): FrameFormat {
  if (text === 'mjpeg') return { kind: 'mjpeg' };
  const [, name, across, down] = /^([a-z0-9]+):(\d+)x(\d+)$/.exec(text) ?? [];
  const [width, height] = [Number(across), Number(down)];
  if (
    name !== undefined &&
    Object.hasOwn(PIXELS, name) &&
    width * height > 0 &&
    width * height <= MOST
  ) {
    const pixels = name as PixelName;
    const { channels, bytes } = PIXELS[pixels];
    return { kind: 'raw', pixels, width, height, bytes: width * height * channels * bytes };
  }
  const near = nearest(text.split(':')[0]!, NAMES);
  throw new EvaluationError(
    'M3L_STREAM_FORMAT',
    `found the frames '${text.slice(0, 60)}', expected mjpeg, or pixels and a size as rgb24:640x480 of ${NAMES.slice(1).join(', ')} and at most ${MOST} pixels.${near === null ? '' : ` Did you mean '${near}'?`}`,
  );
}

/** What a frame is, in words: `rgb24:640x480, 640 × 480 × 3 = 921600 bytes`. */
export function frameText(format: FrameFormat): string {
  if (format.kind === 'mjpeg') return 'JPEG';
  const { pixels, width, height, bytes } = format;
  const each = PIXELS[pixels].channels * PIXELS[pixels].bytes;
  return `${pixels}:${width}x${height}, ${width} × ${height} × ${each} = ${bytes} bytes`;
}

/** The image that a frame is, in the frame's memory, which must be its own. */
export function imageOf(format: FrameFormat, frame: Buffer): PredictorImage {
  if (format.kind === 'mjpeg') return frame;
  const { pixels, width, height } = format;
  const { channels, bytes } = PIXELS[pixels];
  const { buffer, byteOffset, length } = frame;
  if (pixels === 'gray16be') frame.swap16();
  if (pixels === 'bgr24') swapRedAndBlue(frame);
  const data =
    bytes === 2
      ? new Uint16Array(buffer, byteOffset, length / 2)
      : new Uint8Array(buffer, byteOffset, length);
  return { data, width, height, channels };
}

function swapRedAndBlue(data: Uint8Array): void {
  for (let at = 0; at < data.length; at += 3) {
    const red = data[at + 2]!;
    data[at + 2] = data[at]!;
    data[at] = red;
  }
}
