import { readGrey } from '../image.js';
import { byteOf, readBrightness } from './brightness.js';
import { readChannel } from './channel.js';
import type { ModalityKind } from './kind.js';

/** The averages of ImageNet's three channels: what encoders that were trained on it expect of grey. */
const MEAN = 0.449;
const STD = 0.226;

export const grey: ModalityKind = {
  description: 'brightness of one channel, such as near infrared or thermal, scaled as colours are',
  channels: 1,
  interpolation: 'bilinear',
  mean: MEAN,
  std: STD,
  measured: true,
  keys: ['channel'],
  photometric: true,
  middle: null,
  async read(request) {
    const { file, channel, range } = request;
    const picture = channel === null ? await readGrey(file) : await readChannel(request, channel);
    return readBrightness(picture, 1, range);
  },
  paint(values, normalisation) {
    const out = new Uint8Array(3 * values.length);
    for (let i = 0; i < values.length; i++) {
      out.fill(byteOf(values[i]!, normalisation, 0), 3 * i, 3 * i + 3);
    }
    return out;
  },
};
