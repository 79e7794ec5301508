import { fromNvidia } from '../../../models/index.js';
import type { WeightsFormat } from '../format.js';

/** `patch_embed1.proj.weight`, `block1.0.attn.q.weight`, …, also under `backbone.`. */
export const nvidia: WeightsFormat = {
  name: 'nvidia',
  title: "NVIDIA's MiT or SegFormer",
  fits: ({ tensors }) =>
    Object.keys(tensors).some((name) =>
      /^(backbone\.|encoder\.)?patch_embed1\.proj\.weight$/.test(name),
    ),
  convert: ({ tensors }, { kinds }) => fromNvidia(tensors, { modalities: kinds.length }),
};
