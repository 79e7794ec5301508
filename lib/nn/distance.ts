import { cosineSimilarity, pairwiseDistance } from '../torch/index.js';
import { inputLayerOf, type PairLayer } from './layer.js';

const PAIRWISE = { p: 2, eps: 1e-6, keepdim: false };
/** The p-norm of x1 − x2 + eps over the last dimension: [..., D] twice -> [...]. */
export class PairwiseDistance extends inputLayerOf<PairLayer<typeof PAIRWISE>>(
  pairwiseDistance,
  PAIRWISE,
) {}

const COSINE = { dim: 1, eps: 1e-8 };
/** x1·x2 / (‖x1‖·‖x2‖) over a dimension. */
export class CosineSimilarity extends inputLayerOf<PairLayer<typeof COSINE>>(
  cosineSimilarity,
  COSINE,
) {}
