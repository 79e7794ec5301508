/** Losses as layers; shapes and options are those of the functions of `nn.functional`. */
import type { Tensor } from '../torch/index.js';
import * as F from './functional/loss.js';
import { type FunctionLayer, inputLayerOf, type PairLayer, type TripleLayer } from './layer.js';

export class MSELoss extends inputLayerOf<PairLayer<F.Reduced>>(F.mseLoss, F.MEAN) {}
export class L1Loss extends inputLayerOf<PairLayer<F.Reduced>>(F.l1Loss, F.MEAN) {}
export class SmoothL1Loss extends inputLayerOf<PairLayer<typeof F.SMOOTH_L1>>(
  F.smoothL1Loss,
  F.SMOOTH_L1,
) {}
export class HuberLoss extends inputLayerOf<PairLayer<typeof F.HUBER>>(F.huberLoss, F.HUBER) {}
export class CrossEntropyLoss extends inputLayerOf<PairLayer<typeof F.CROSS_ENTROPY>>(
  F.crossEntropy,
  F.CROSS_ENTROPY,
) {}
export class NLLLoss extends inputLayerOf<PairLayer<typeof F.NLL>>(F.nllLoss, F.NLL) {}
export class BCELoss extends inputLayerOf<PairLayer<F.Weighted>>(
  F.binaryCrossEntropy,
  F.WEIGHTED,
) {}
export class BCEWithLogitsLoss extends inputLayerOf<PairLayer<typeof F.WITH_LOGITS>>(
  F.binaryCrossEntropyWithLogits,
  F.WITH_LOGITS,
) {}
export class KLDivLoss extends inputLayerOf<PairLayer<F.KLDivOptions>>(F.klDiv, F.KL_DIV) {}
export class PoissonNLLLoss extends inputLayerOf<PairLayer<typeof F.POISSON>>(
  F.poissonNllLoss,
  F.POISSON,
) {}
export class GaussianNLLLoss extends inputLayerOf<TripleLayer<typeof F.GAUSSIAN>>(
  F.gaussianNllLoss,
  F.GAUSSIAN,
) {}
export class HingeEmbeddingLoss extends inputLayerOf<PairLayer<typeof F.HINGE>>(
  F.hingeEmbeddingLoss,
  F.HINGE,
) {}
export class SoftMarginLoss extends inputLayerOf<PairLayer<F.Reduced>>(F.softMarginLoss, F.MEAN) {}
export class MultiLabelMarginLoss extends inputLayerOf<PairLayer<F.Reduced>>(
  F.multilabelMarginLoss,
  F.MEAN,
) {}
export class MultiLabelSoftMarginLoss extends inputLayerOf<PairLayer<F.Weighted>>(
  F.multilabelSoftMarginLoss,
  F.WEIGHTED,
) {}
export class MultiMarginLoss extends inputLayerOf<PairLayer<typeof F.MULTI_MARGIN>>(
  F.multiMarginLoss,
  F.MULTI_MARGIN,
) {}
export class CosineEmbeddingLoss extends inputLayerOf<TripleLayer<typeof F.MARGIN>>(
  F.cosineEmbeddingLoss,
  F.MARGIN,
) {}
export class MarginRankingLoss extends inputLayerOf<TripleLayer<typeof F.MARGIN>>(
  F.marginRankingLoss,
  F.MARGIN,
) {}
export class TripletMarginLoss extends inputLayerOf<TripleLayer<typeof F.TRIPLET>>(
  F.tripletMarginLoss,
  F.TRIPLET,
) {}
export interface CTCLayer extends FunctionLayer<typeof F.CTC> {
  readonly options: typeof F.CTC;
  forward(...inputs: F.CTCInputs): Tensor;
}
export class CTCLoss extends inputLayerOf<CTCLayer>(F.ctcLoss, F.CTC) {}
