/** Losses: `reduction` 'none' keeps the elements (or samples), 'mean' and 'sum' give a scalar. */
import { ArgumentError } from '../../torch/errors.js';
import * as torch from '../../torch/index.js';
import { Tensor } from '../../torch/index.js';
import { withDefaults } from '../../torch/require.js';
import { requireChoice, requireNumbers, requireTensor } from '../check.js';
import type { Given } from '../layer.js';

export type Reduction = 'none' | 'mean' | 'sum';
export interface Reduced {
  reduction: Reduction;
}
export type Lengths = Tensor | readonly number[];

const CODES: Record<string, number> = { none: 0, mean: 1, sum: 2 };
export const MEAN: Reduced = { reduction: 'mean' };

/** Throws ArgumentError for a reduction that there is not. */
export function requireReduction(where: string, { reduction }: Reduced): void {
  requireChoice(where, 'reduction', reduction, Object.keys(CODES));
}

function code(where: string, reduction: Reduction): number {
  requireReduction(where, { reduction });
  return CODES[reduction]!;
}

function reduced(where: string, values: Tensor, reduction: Reduction): Tensor {
  const kind = code(where, reduction);
  return kind === 0 ? values : kind === 1 ? values.mean() : values.sum();
}

/** A loss that is one operator taking its reduction as a number among its options. */
function loss<Inputs extends unknown[], Options extends Reduced>(
  where: string,
  defaults: Options,
  apply: (...args: [...Inputs, never]) => Tensor,
) {
  return (...args: [...Inputs, options?: Given<Options>]): Tensor => {
    const count = apply.length - 1;
    const known = withDefaults<Options>(where, defaults, (args[count] ?? {}) as Given<Options>);
    const inputs = args.slice(0, count) as [...Inputs];
    return apply(...inputs, { ...known, reduction: code(where, known.reduction) } as never);
  };
}

export type Pair = [input: Tensor, target: Tensor];

function sameShape(where: string, x: Tensor, target: Tensor): void {
  requireTensor(where, x);
  requireTensor(where, target);
  if (x.shape.join() === target.shape.join()) return;
  throw new ArgumentError(
    `${where}: found a target of shape [${target.shape}], expected that of the input [${x.shape}]`,
  );
}

export const SMOOTH_L1 = { ...MEAN, beta: 1 };
export const HUBER = { ...MEAN, delta: 1 };
export const HINGE = { ...MEAN, margin: 1 };
export const MARGIN = { ...MEAN, margin: 0 };
export const CTC = { ...MEAN, blank: 0, zeroInfinity: false };
export const TRIPLET = { ...MEAN, margin: 1, p: 2, eps: 1e-6, swap: false };
export interface TripletDistanceOptions extends Reduced {
  /** A distance [B] of two tensors [B,…]; null: the Euclidean one. */
  distanceFunction: ((a: Tensor, b: Tensor) => Tensor) | null;
  margin: number;
  /** Take the distance of positive and negative where that is smaller. */
  swap: boolean;
}
export const TRIPLET_DISTANCE: TripletDistanceOptions = {
  ...MEAN,
  distanceFunction: null,
  margin: 1,
  swap: false,
};
export const POISSON = { ...MEAN, logInput: true, full: false, eps: 1e-8 };
export const GAUSSIAN = { ...MEAN, full: false, eps: 1e-6 };
export interface Weighted extends Reduced {
  /** Of the classes, [C]. */
  weight: Tensor | null;
}
export const WEIGHTED: Weighted = { ...MEAN, weight: null };
export const NLL = { ...WEIGHTED, ignoreIndex: -100 };
export const CROSS_ENTROPY = { ...NLL, labelSmoothing: 0 };
export const WITH_LOGITS: Weighted & { posWeight: Tensor | null } = {
  ...WEIGHTED,
  posWeight: null,
};
export const MULTI_MARGIN = { ...WEIGHTED, p: 1, margin: 1 };
export interface KLDivOptions {
  reduction: Reduction | 'batchmean';
  logTarget: boolean;
}
export const KL_DIV: KLDivOptions = { reduction: 'mean', logTarget: false };

export const mseLoss = loss<Pair, Reduced>('mseLoss', MEAN, (x, target, o) =>
  torch.mseLoss(x, target, o),
);
export const l1Loss = loss<Pair, Reduced>('l1Loss', MEAN, (x, target, o) =>
  torch.l1Loss(x, target, o),
);
export const smoothL1Loss = loss<Pair, typeof SMOOTH_L1>('smoothL1Loss', SMOOTH_L1, (x, y, o) =>
  torch.smoothL1Loss(x, y, o),
);
export const huberLoss = loss<Pair, typeof HUBER>('huberLoss', HUBER, (x, y, o) =>
  torch.huberLoss(x, y, o),
);
/** Logits [B,C,…] with classes [B,…] (int64) or probabilities [B,C,…]. */
export const crossEntropy = loss<Pair, typeof CROSS_ENTROPY>(
  'crossEntropy',
  CROSS_ENTROPY,
  (x, y, o) => torch.crossEntropyLoss(x, y, o),
);
/** Log-probabilities [B,C,…] with classes [B,…] (int64). */
export const nllLoss = loss<Pair, typeof NLL>('nllLoss', NLL, (x, y, o) =>
  torch.nllLossNd(x, y, o),
);
/** Probabilities and targets in [0, 1] of one shape. */
export const binaryCrossEntropy = loss<Pair, Weighted>(
  'binaryCrossEntropy',
  WEIGHTED,
  (x, y, o) => {
    sameShape('binaryCrossEntropy', x, y);
    return torch.binaryCrossEntropy(x, y, o);
  },
);
/** As {@link binaryCrossEntropy}, of logits. */
export const binaryCrossEntropyWithLogits = loss<Pair, typeof WITH_LOGITS>(
  'binaryCrossEntropyWithLogits',
  WITH_LOGITS,
  (x, y, o) => {
    sameShape('binaryCrossEntropyWithLogits', x, y);
    return torch.binaryCrossEntropyWithLogits(x, y, o);
  },
);
export const hingeEmbeddingLoss = loss<Pair, typeof HINGE>('hingeEmbeddingLoss', HINGE, (x, y, o) =>
  torch.hingeEmbeddingLoss(x, y, o),
);
export const softMarginLoss = loss<Pair, Reduced>('softMarginLoss', MEAN, (x, y, o) =>
  torch.softMarginLoss(x, y, o),
);
export const multilabelMarginLoss = loss<Pair, Reduced>('multilabelMarginLoss', MEAN, (x, y, o) =>
  torch.multilabelMarginLoss(x, y, o),
);
export const multiMarginLoss = loss<Pair, typeof MULTI_MARGIN>(
  'multiMarginLoss',
  MULTI_MARGIN,
  (x, y, o) => torch.multiMarginLoss(x, y, o),
);

export type Three = [first: Tensor, second: Tensor, third: Tensor];
export const cosineEmbeddingLoss = loss<Three, typeof MARGIN>(
  'cosineEmbeddingLoss',
  MARGIN,
  (a, b, target, o) => torch.cosineEmbeddingLoss(a, b, target, o),
);
export const marginRankingLoss = loss<Three, typeof MARGIN>(
  'marginRankingLoss',
  MARGIN,
  (a, b, target, o) => torch.marginRankingLoss(a, b, target, o),
);
export const tripletMarginLoss = loss<Three, typeof TRIPLET>(
  'tripletMarginLoss',
  TRIPLET,
  (anchor, positive, negative, o) => torch.tripletMarginLoss(anchor, positive, negative, o),
);
/** As {@link tripletMarginLoss}, by any distance. */
export function tripletMarginWithDistanceLoss(
  anchor: Tensor,
  positive: Tensor,
  negative: Tensor,
  options: Given<TripletDistanceOptions> = {},
): Tensor {
  const where = 'tripletMarginWithDistanceLoss';
  const { distanceFunction, margin, swap, reduction } = withDefaults(
    where,
    TRIPLET_DISTANCE,
    options,
  );
  const distance = distanceFunction ?? ((a: Tensor, b: Tensor) => torch.pairwiseDistance(a, b));
  const far = distance(anchor, negative);
  const least = swap ? torch.minimum(far, distance(positive, negative)) : far;
  const values = distance(anchor, positive).sub(least).add(margin).clampMin(0);
  return reduced(where, values, reduction);
}

export type CTCInputs = [
  logProbs: Tensor,
  targets: Tensor,
  inputLengths: Lengths,
  targetLengths: Lengths,
];
/** Log-probabilities [T,B,C], targets [B,S] or joined, lengths [B] each. */
export const ctcLoss = loss<CTCInputs, typeof CTC>(
  'ctcLoss',
  CTC,
  (x, targets, inputs, lengths, o) =>
    torch.ctcLoss(x, targets, inputs as Tensor, lengths as Tensor, o),
);

/** Throws ArgumentError for a reduction that {@link klDiv} has not. */
export function requireKlReduction(where: string, { reduction }: KLDivOptions): void {
  requireChoice(where, 'reduction', reduction, [...Object.keys(CODES), 'batchmean']);
}

/** Log-probabilities with probabilities; `batchmean` divides the sum by the first dimension. */
export function klDiv(x: Tensor, target: Tensor, options: Given<KLDivOptions> = {}): Tensor {
  const { reduction, logTarget } = withDefaults('klDiv', KL_DIV, options);
  requireKlReduction('klDiv', { reduction, logTarget });
  if (reduction !== 'batchmean') {
    return torch.klDiv(x, target, { reduction: code('klDiv', reduction), logTarget });
  }
  const sum = torch.klDiv(x, target, { reduction: 2, logTarget });
  return x.ndim > 0 ? sum.div(x.shape[0]!) : sum;
}

/** Rates, or with `logInput` their logarithms, with counts. */
export function poissonNllLoss(x: Tensor, target: Tensor, options: Given<typeof POISSON> = {}) {
  const o = withDefaults('poissonNllLoss', POISSON, options);
  const reduction = code('poissonNllLoss', o.reduction);
  return torch.poissonNllLoss(x, target, o.logInput, o.full, o.eps, reduction);
}

/**
 * Means and values of one shape, with variances: of that shape too, without or with 1 in the last
 * dimension, or a number.
 * @throws ArgumentError for variances of another shape, or below 0
 */
export function gaussianNllLoss(
  x: Tensor,
  target: Tensor,
  variance: Tensor | number,
  options: Given<typeof GAUSSIAN> = {},
): Tensor {
  const { full, eps, reduction } = withDefaults('gaussianNllLoss', GAUSSIAN, options);
  requireTensor('gaussianNllLoss', x);
  const shaped = varianceLike(x, variance);
  const bounded = shaped.clone();
  // The bound takes no part in the gradient, as in PyTorch.
  torch.noGrad(() => bounded.clampMin_(eps));
  const values = bounded.log().add(x.sub(target).pow(2).div(bounded)).mul(0.5);
  const whole = full ? values.add(0.5 * Math.log(2 * Math.PI)) : values;
  return reduced('gaussianNllLoss', whole, reduction);
}

function varianceLike(x: Tensor, variance: Tensor | number): Tensor {
  if (!(variance instanceof Tensor)) {
    requireNumbers('gaussianNllLoss', { variance }, 0);
    return torch.fullLike(x, variance);
  }
  if (torch.scope(() => variance.lt(0).any().item())) {
    throw new ArgumentError('gaussianNllLoss: found a variance below 0, expected none');
  }
  const { shape } = x;
  if (variance.shape.join() === shape.slice(0, -1).join()) return variance.unsqueeze(-1);
  const differing = shape.filter((side, i) => side !== variance.shape[i]);
  const single = variance.shape.filter((side, i) => side !== shape[i]).every((side) => side === 1);
  if (variance.ndim === x.ndim && differing.length <= 1 && single) return variance;
  throw new ArgumentError(
    `gaussianNllLoss: found variances of shape [${variance.shape}], expected [${shape}], [${shape.slice(0, -1)}] or 1 in one of the dimensions`,
  );
}

/** Logits and targets 0 or 1 of [B,C]: the mean over the classes of binary cross-entropies. */
export function multilabelSoftMarginLoss(
  x: Tensor,
  target: Tensor,
  options: Given<Weighted> = {},
): Tensor {
  const { weight, reduction } = withDefaults('multilabelSoftMarginLoss', WEIGHTED, options);
  const values = torch.binaryCrossEntropyWithLogits(x, target, { reduction: 0 });
  const weighted = weight ? values.mul(weight) : values;
  return reduced('multilabelSoftMarginLoss', weighted.mean({ dim: -1 }), reduction);
}
