import { fromEncoder } from '../../../models/index.js';
import { encoderFacts } from '../../pretrained/encoder-file.js';
import type { WeightsFormat } from '../format.js';

/** What `m3l pretrain` writes. */
export const m3lEncoder: WeightsFormat = {
  name: 'm3l-encoder',
  title: 'an encoder of m3l',
  fits: ({ path, metadata }) => encoderFacts(path, metadata) !== null,
  convert({ path, tensors, metadata }, { kinds }) {
    const facts = encoderFacts(path, metadata)!;
    return fromEncoder(tensors, { trained: facts.kinds, wanted: kinds });
  },
};
