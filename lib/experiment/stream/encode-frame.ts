import sharp from 'sharp';
import { GLYPH_HEIGHT } from '../../evaluation/bitmap-font.js';
import { Picture, textWidth } from '../../evaluation/picture.js';
import { checkArguments } from '../../torch/check-arguments.js';
import * as is from '../../torch/rules.js';
import type { PredictionOutput } from '../predictor/images.js';
import type { StreamPrediction } from './predict-stream.js';
import { STREAM_WRITES, type StreamWrites } from './writes.js';

const predictionShape = is.shape('ImagePrediction', {
  width: is.size,
  height: is.size,
  classes: is.instance(Uint8Array),
});

/** What `predictStream` must make so that it can be written. */
export function streamOutputs(writes: StreamWrites): PredictionOutput[] {
  checkArguments('streamOutputs', { writes }, { writes: is.oneOf(...STREAM_WRITES) });
  return writes.startsWith('overlay') ? ['overlayPixels'] : [];
}

/** One frame: a JPEG, RGB pixels, class numbers or a PGM; on overlays stands which sensor is not looked at. */
export async function encodeFrame(frame: StreamPrediction, writes: StreamWrites): Promise<Buffer> {
  checkArguments(
    'encodeFrame',
    { frame, writes },
    {
      frame: is.shape('StreamPrediction', { prediction: predictionShape, faults: is.record }),
      writes: is.oneOf(...STREAM_WRITES),
    },
  );
  const { prediction, faults } = frame;
  const { width, height, classes, overlayPixels } = prediction;
  const plain = Buffer.from(classes.buffer, classes.byteOffset, classes.byteLength);
  if (writes === 'classes') return plain;
  if (writes === 'classes-pgm')
    return Buffer.concat([Buffer.from(`P5\n${width} ${height}\n255\n`), plain]);
  const picture = new Picture(width, height);
  picture.pixels.set(overlayPixels!);
  for (const [row, [name, fault]] of Object.entries(faults).entries()) {
    const text = `${name}: ${fault}`;
    const line = GLYPH_HEIGHT + 4;
    picture.fill(0, row * line, Math.min(width, textWidth(text) + 4), line, [160, 0, 0]);
    picture.write(text, 2, row * line + 2, [255, 255, 255]);
  }
  if (writes === 'overlay-rgb24') return Buffer.from(picture.pixels.buffer);
  const raw = { width, height, channels: 3 } as const;
  return sharp(picture.pixels, { raw }).jpeg({ quality: 85 }).toBuffer();
}
