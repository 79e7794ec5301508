/** Losses as layers; shapes and options are those of the functions of `nn.functional`. */
import type { Tensor } from '../torch/index.js';
import * as F from './functional/loss.js';
import { type FunctionLayer, inputLayerOf, type PairLayer, type TripleLayer } from './layer.js';

const lossOf = <Kind extends FunctionLayer<F.Reduced>>(
  apply: (...args: never[]) => Tensor,
  defaults: Kind['options'],
) => inputLayerOf<Kind>(apply, defaults, F.requireReduction);

export class MSELoss extends lossOf<PairLayer<F.Reduced>>(F.mseLoss, F.MEAN) {}
export class L1Loss extends lossOf<PairLayer<F.Reduced>>(F.l1Loss, F.MEAN) {}
export class SmoothL1Loss extends lossOf<PairLayer<typeof F.SMOOTH_L1>>(
  F.smoothL1Loss,
  F.SMOOTH_L1,
) {}
export class HuberLoss extends lossOf<PairLayer<typeof F.HUBER>>(F.huberLoss, F.HUBER) {}
export class CrossEntropyLoss extends lossOf<PairLayer<typeof F.CROSS_ENTROPY>>(
  F.crossEntropy,
  F.CROSS_ENTROPY,
) {}
export class NLLLoss extends lossOf<PairLayer<typeof F.NLL>>(F.nllLoss, F.NLL) {}
export class BCELoss extends lossOf<PairLayer<F.Weighted>>(F.binaryCrossEntropy, F.WEIGHTED) {}
export class BCEWithLogitsLoss extends lossOf<PairLayer<typeof F.WITH_LOGITS>>(
  F.binaryCrossEntropyWithLogits,
  F.WITH_LOGITS,
) {}
export class KLDivLoss extends inputLayerOf<PairLayer<F.KLDivOptions>>(
  F.klDiv,
  F.KL_DIV,
  F.requireKlReduction,
) {}
export class PoissonNLLLoss extends lossOf<PairLayer<typeof F.POISSON>>(
  F.poissonNllLoss,
  F.POISSON,
) {}
export interface GaussianLayer extends FunctionLayer<typeof F.GAUSSIAN> {
  readonly options: typeof F.GAUSSIAN;
  forward(input: Tensor, target: Tensor, variance: Tensor | number): Tensor;
}
export class GaussianNLLLoss extends lossOf<GaussianLayer>(F.gaussianNllLoss, F.GAUSSIAN) {}
export class HingeEmbeddingLoss extends lossOf<PairLayer<typeof F.HINGE>>(
  F.hingeEmbeddingLoss,
  F.HINGE,
) {}
export class SoftMarginLoss extends lossOf<PairLayer<F.Reduced>>(F.softMarginLoss, F.MEAN) {}
export class MultiLabelMarginLoss extends lossOf<PairLayer<F.Reduced>>(
  F.multilabelMarginLoss,
  F.MEAN,
) {}
export class MultiLabelSoftMarginLoss extends lossOf<PairLayer<F.Weighted>>(
  F.multilabelSoftMarginLoss,
  F.WEIGHTED,
) {}
export class MultiMarginLoss extends lossOf<PairLayer<typeof F.MULTI_MARGIN>>(
  F.multiMarginLoss,
  F.MULTI_MARGIN,
) {}
export class CosineEmbeddingLoss extends lossOf<TripleLayer<typeof F.MARGIN>>(
  F.cosineEmbeddingLoss,
  F.MARGIN,
) {}
export class MarginRankingLoss extends lossOf<TripleLayer<typeof F.MARGIN>>(
  F.marginRankingLoss,
  F.MARGIN,
) {}
export class TripletMarginLoss extends lossOf<TripleLayer<typeof F.TRIPLET>>(
  F.tripletMarginLoss,
  F.TRIPLET,
) {}
export class TripletMarginWithDistanceLoss extends lossOf<TripleLayer<F.TripletDistanceOptions>>(
  F.tripletMarginWithDistanceLoss,
  F.TRIPLET_DISTANCE,
) {}
export interface CTCLayer extends FunctionLayer<typeof F.CTC> {
  readonly options: typeof F.CTC;
  forward(...inputs: F.CTCInputs): Tensor;
}
export class CTCLoss extends lossOf<CTCLayer>(F.ctcLoss, F.CTC) {}
