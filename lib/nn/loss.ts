/** Losses as layers; shapes and options are those of the functions of `nn.functional`. */
import type { Tensor } from '../torch/index.js';
import * as F from './functional/loss.js';
import { type FunctionLayer, inputLayerOf, type PairLayer, type TripleLayer } from './layer.js';

const lossOf = <Kind extends FunctionLayer<F.Reduced>>(
  apply: (...args: never[]) => Tensor,
  defaults: Kind['options'],
) => inputLayerOf<Kind>(apply, defaults, F.requireReduction);

/** (x − y)²: inputs and targets of one shape. */
export class MSELoss extends lossOf<PairLayer<F.Reduced>>(F.mseLoss, F.MEAN) {}
/** |x − y|: inputs and targets of one shape. */
export class L1Loss extends lossOf<PairLayer<F.Reduced>>(F.l1Loss, F.MEAN) {}
/** (x − y)² / (2·beta) below beta, |x − y| − beta / 2 above: inputs and targets of one shape. */
export class SmoothL1Loss extends lossOf<PairLayer<typeof F.SMOOTH_L1>>(
  F.smoothL1Loss,
  F.SMOOTH_L1,
) {}
/** delta times {@link SmoothL1Loss} of beta = delta: inputs and targets of one shape. */
export class HuberLoss extends lossOf<PairLayer<typeof F.HUBER>>(F.huberLoss, F.HUBER) {}
/** Logits [B,C,…] with classes [B,…] (int64) or probabilities [B,C,…]; `weight` of classes is [C]. */
export class CrossEntropyLoss extends lossOf<PairLayer<typeof F.CROSS_ENTROPY>>(
  F.crossEntropy,
  F.CROSS_ENTROPY,
) {}
/** Log-probabilities [B,C,…] with classes [B,…] (int64); `weight` of classes is [C]. */
export class NLLLoss extends lossOf<PairLayer<typeof F.NLL>>(F.nllLoss, F.NLL) {}
/** Probabilities with targets in [0, 1], of one shape. */
export class BCELoss extends lossOf<PairLayer<F.Weighted>>(F.binaryCrossEntropy, F.WEIGHTED) {}
/** Logits with targets in [0, 1], of one shape. */
export class BCEWithLogitsLoss extends lossOf<PairLayer<typeof F.WITH_LOGITS>>(
  F.binaryCrossEntropyWithLogits,
  F.WITH_LOGITS,
) {}
/** Log-probabilities with probabilities (or their logarithms, `logTarget`), of one shape. */
export class KLDivLoss extends inputLayerOf<PairLayer<F.KLDivOptions>>(
  F.klDiv,
  F.KL_DIV,
  F.requireKlReduction,
) {}
/** Rates (or their logarithms, `logInput`) with counts, of one shape. */
export class PoissonNLLLoss extends lossOf<PairLayer<typeof F.POISSON>>(
  F.poissonNllLoss,
  F.POISSON,
) {}
/** A loss of means, targets and variances. */
export interface GaussianLayer extends FunctionLayer<typeof F.GAUSSIAN> {
  readonly options: typeof F.GAUSSIAN;
  forward(input: Tensor, target: Tensor, variance: Tensor | number): Tensor;
}
/** Means and values of one shape, with variances: see `nn.functional.gaussianNllLoss`. */
export class GaussianNLLLoss extends lossOf<GaussianLayer>(F.gaussianNllLoss, F.GAUSSIAN) {}
/** Distances with 1 (x) or −1 (max(0, margin − x)), of one shape. */
export class HingeEmbeddingLoss extends lossOf<PairLayer<typeof F.HINGE>>(
  F.hingeEmbeddingLoss,
  F.HINGE,
) {}
/** log(1 + e^(−y·x)): inputs with 1 or −1, of one shape. */
export class SoftMarginLoss extends lossOf<PairLayer<F.Reduced>>(F.softMarginLoss, F.MEAN) {}
/** Scores [B,C] (or [C]) with the classes that are right, first in [B,C] (int64), −1 after them. */
export class MultiLabelMarginLoss extends lossOf<PairLayer<F.Reduced>>(
  F.multilabelMarginLoss,
  F.MEAN,
) {}
/** Logits [B,C] with targets 0 or 1: the mean of binary cross-entropies. */
export class MultiLabelSoftMarginLoss extends lossOf<PairLayer<F.Weighted>>(
  F.multilabelSoftMarginLoss,
  F.WEIGHTED,
) {}
/** Scores [B,C] (or [C]) with classes [B] (int64): how far others come within the margin. */
export class MultiMarginLoss extends lossOf<PairLayer<typeof F.MULTI_MARGIN>>(
  F.multiMarginLoss,
  F.MULTI_MARGIN,
) {}
/** Vectors [B,D] twice with 1 (alike) or −1 (not), [B]. */
export class CosineEmbeddingLoss extends lossOf<TripleLayer<typeof F.MARGIN>>(
  F.cosineEmbeddingLoss,
  F.MARGIN,
) {}
/** Scores [B] twice with 1 (the first is to be higher) or −1. */
export class MarginRankingLoss extends lossOf<TripleLayer<typeof F.MARGIN>>(
  F.marginRankingLoss,
  F.MARGIN,
) {}
/** Anchors, positives and negatives [B,D]: max(0, d(a, p) − d(a, n) + margin). */
export class TripletMarginLoss extends lossOf<TripleLayer<typeof F.TRIPLET>>(
  F.tripletMarginLoss,
  F.TRIPLET,
) {}
/** As {@link TripletMarginLoss}, by any distance. */
export class TripletMarginWithDistanceLoss extends lossOf<TripleLayer<F.TripletDistanceOptions>>(
  F.tripletMarginWithDistanceLoss,
  F.TRIPLET_DISTANCE,
) {}
/** A loss of log probabilities, targets and the lengths of both. */
export interface CTCLayer extends FunctionLayer<typeof F.CTC> {
  readonly options: typeof F.CTC;
  forward(...inputs: F.CTCInputs): Tensor;
}
/** Log-probabilities [T,B,C] with targets [B,S] (or joined) and both lengths, [B] each (Graves et al., 2006). */
export class CTCLoss extends lossOf<CTCLayer>(F.ctcLoss, F.CTC) {}
