import { fromHuggingFace } from '../../../models/index.js';
import type { WeightsFormat } from '../format.js';

/** `segformer.encoder.patch_embeddings.0.proj.weight`, with or without the head. */
export const huggingFace: WeightsFormat = {
  name: 'hugging-face',
  title: "Hugging Face's SegFormer",
  fits: ({ tensors }) => Object.keys(tensors).some((name) => name.includes('patch_embeddings.')),
  convert: ({ tensors }, { kinds }) => fromHuggingFace(tensors, { modalities: kinds.length }),
};
