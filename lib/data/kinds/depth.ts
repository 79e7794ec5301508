import { viridis } from '../colours.js';
import { readGrey } from '../image.js';
import { asPlaneData, measuredExtremes, UNBOUNDED } from '../plane.js';
import { readChannel } from './channel.js';
import type { ModalityKind } from './kind.js';

export const depth: ModalityKind = {
  description: 'one channel of measured values: depth, disparity, height',
  channels: 1,
  // Between an edge's two depths there is nothing.
  interpolation: 'nearest',
  mean: 0,
  std: 1,
  measured: true,
  keys: ['invalid', 'channel', 'jitter.offset'],
  photometric: false,
  middle: 0.5,
  async read(request) {
    const { file, channel, range, holes } = request;
    const picture = channel === null ? await readGrey(file) : await readChannel(request, channel);
    const bounds = range ? ([0, 1] as const) : UNBOUNDED;
    const [least, greatest] = range ?? measuredExtremes(picture.data, holes);
    const divisor = greatest > least ? greatest - least : Infinity;
    const base = greatest >= least ? least : 0;
    const plane = asPlaneData(picture.data, base, holes);
    return { ...picture, channels: 1, ...plane, divisor, bounds };
  },
  paint(values) {
    let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (const value of values) {
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
    const range = high > low ? high - low : 1;
    const out = new Uint8Array(3 * values.length);
    for (let i = 0; i < values.length; i++) out.set(viridis((values[i]! - low) / range), 3 * i);
    return out;
  },
};
