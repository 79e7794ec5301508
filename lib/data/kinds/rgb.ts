import { readColour } from '../image.js';
import { byteOf, readBrightness } from './brightness.js';
import type { ModalityKind } from './kind.js';

/** Mean and standard deviation of ImageNet's RGB in [0, 1]. */
export const IMAGENET_MEAN = [0.485, 0.456, 0.406] as const;
/** Standard deviations of the channels of ImageNet. */
export const IMAGENET_STD = [0.229, 0.224, 0.225] as const;

export const rgb: ModalityKind = {
  description: 'colour of three channels',
  channels: 3,
  interpolation: 'bilinear',
  mean: IMAGENET_MEAN,
  std: IMAGENET_STD,
  measured: false,
  keys: [],
  photometric: true,
  middle: null,
  async read({ file, range }) {
    return readBrightness(await readColour(file), 3, range);
  },
  paint(values, normalisation) {
    const pixels = values.length / 3;
    const out = new Uint8Array(values.length);
    for (let i = 0; i < values.length; i++) {
      const channel = i % 3;
      const value = values[channel * pixels + Math.floor(i / 3)]!;
      out[i] = byteOf(value, normalisation, channel);
    }
    return out;
  },
};
