import { IGNORE_LABEL } from '../data/index.js';
import type { Prediction } from '../models/index.js';
import { predictionShape } from '../models/rules.js';
import { checkArguments } from '../torch/check-arguments.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import * as is from '../torch/rules.js';
import { LearningError } from './errors.js';
import { ALONE, type Peers } from './peers.js';
import { ohemOptionsShape, peersShape } from './rules.js';
import { crossEntropiesOverAll } from './shared-losses.js';
import { nearest, oneHot } from './teacher-record.js';
import { weightedCrossEntropy } from './weighted-losses.js';

/** Online hard example mining: which pixels a loss is averaged over; and what each counts. */
export interface OhemOptions {
  /** Pixels whose true class has at most this probability are hard (the paper: 0.7). */
  threshold: number;
  /** Keep at least this many pixels, the hardest; all valid ones where there are fewer. */
  minKept: number;
  /** Label that takes no part (255). */
  ignoreIndex?: number;
  /** What the pixels of each class count, [K]; absent: all alike. */
  classWeights?: readonly number[] | undefined;
  /** γ of the focal loss (0, which is none): a pixel of probability p counts (1 − p)^γ. */
  focal?: number;
  /** With whom the batch is shared: selection and means are then over all pixels of all processes. */
  peers?: Peers;
}

/** What a loss is taken with: at least one kind of labels. */
export interface Targets {
  /** [N, H, W] int64 with N ≤ B: the labels of the first N samples. */
  labels?: Tensor;
  /** [B, H, W] int64: what a teacher says of all. */
  pseudo?: Tensor;
}

/**
 * OHEM cross entropy with the labels (m3l.md section 5: over the pixels whose true class has
 * probability p ≤ max(threshold, the minKept-th smallest p)) and plain cross entropy with the pseudo
 * labels, each the mean over the heads and 0 where every pixel is void.
 *
 * With class weights or a focal loss the first is `weightedCrossEntropy`.
 *
 * One pass for all: the logits are upsampled on the fly (bilinear, align_corners true) and never
 * exist at full resolution, and whether a head needs a selection at all stays on the device.
 *
 * @param heads logits, P × [B, K, h, w] floating; computed in float32 at least
 */
export function crossEntropies(
  heads: readonly Tensor[],
  { labels, pseudo }: Targets,
  ohem: OhemOptions,
): { sup: Tensor; pseudo: Tensor } {
  const { threshold, minKept, ignoreIndex = IGNORE_LABEL, classWeights, focal = 0 } = ohem;
  const { peers = ALONE } = ohem;
  if (labels !== undefined && (classWeights !== undefined || focal > 0)) {
    const sup = weightedCrossEntropy(heads, labels, ohem);
    if (pseudo === undefined) return { sup, pseudo: torch.zeros([], { device: sup.device }) };
    return { sup, pseudo: crossEntropies(heads, { pseudo }, ohem).pseudo };
  }
  if (peers.worldSize > 1) return crossEntropiesOverAll(heads, { labels, pseudo }, ohem, peers);
  const [sup, taught] = torch.ops.m3l!.upsample_ohem_cross_entropy!(
    heads,
    labels,
    pseudo,
    threshold,
    minKept,
    ignoreIndex,
  ) as [Tensor, Tensor];
  return { sup, pseudo: taught };
}

/**
 * OHEM cross entropy of logits that have the labels' size.
 *
 * @param logits [B, K, H, W] floating
 * @param labels [B, H, W] int64 in 0…K−1, or `ignoreIndex`
 * @returns a scalar; 0 with zero gradients where every pixel is void
 */
export function ohemCrossEntropy(logits: Tensor, labels: Tensor, options: OhemOptions): Tensor {
  checkArguments(
    'ohemCrossEntropy',
    { logits, labels, options },
    { logits: is.tensor, labels: is.tensor, options: ohemOptionsShape },
  );

  const [batch, , height, width] = logits.shape;
  if (logits.ndim !== 4 || labels.shape.join() !== [batch, height, width].join()) {
    throw new LearningError(
      'M3L_LOSS_SHAPE',
      `a prediction is [${logits.shape}] and its labels are [${labels.shape}]: expected ` +
        '[B, K, H, W] and [B, H, W]. Resize the prediction to the labels first.',
    );
  }
  return crossEntropies([logits], { labels }, options).sup;
}

/** All M + 1 predictions, the ensemble last; the one where there is one modality, whose ensemble it is. */
export function allHeads(prediction: Prediction): Tensor[] {
  checkArguments('allHeads', { prediction }, { prediction: predictionShape });
  const { heads, ensemble } = prediction;

  return [...new Set([...heads, ensemble])];
}

/**
 * Both losses of a semi-supervised step: as `supervisedLoss` and `pseudoLoss`.
 * @param heads logits, [B, K, h, w] each
 * @param absent where given, a modality's head learns nothing from the samples that lost it; see there
 */
export function semiSupervisedLosses(
  heads: readonly Tensor[],
  labels: Tensor,
  pseudo: Tensor,
  ohem: OhemOptions,
  absent?: AbsentHeads,
): { sup: Tensor; pseudo: Tensor } {
  checkArguments(
    'semiSupervisedLosses',
    { heads, labels, pseudo, ohem, absent },
    {
      heads: is.listOf(is.tensor),
      labels: is.tensor,
      pseudo: is.tensor,
      ohem: ohemOptionsShape,
      absent: is.maybe(is.either(is.tensor, is.listOf(is.finite))),
    },
  );

  return withoutAbsent(heads, { labels, pseudo }, ohem, absent);
}

/**
 * OHEM cross entropy, mean over the heads.
 * @param heads logits of any resolution, [B, K, h, w] each
 * @param labels [N, H, W] int64 with N ≤ B: the labels of the first N samples
 * @param absent where given, a modality's head learns nothing from the samples that lost it; see there
 */
export function supervisedLoss(
  heads: readonly Tensor[],
  labels: Tensor,
  ohem: OhemOptions,
  absent?: AbsentHeads,
): Tensor {
  checkArguments(
    'supervisedLoss',
    { heads, labels, ohem, absent },
    {
      heads: is.listOf(is.tensor),
      labels: is.tensor,
      ohem: ohemOptionsShape,
      absent: is.maybe(is.either(is.tensor, is.listOf(is.finite))),
    },
  );

  return withoutAbsent(heads, { labels }, ohem, absent).sup;
}

/**
 * Per sample the modality it lost, −1 for none; [B] int64 as a tensor. The heads are then those of the
 * modalities in their order, where there are any, and last the ensemble's, which is never absent.
 */
export type AbsentHeads = readonly number[] | Tensor;

function withoutAbsent(
  heads: readonly Tensor[],
  { labels, pseudo }: Targets,
  ohem: OhemOptions,
  absent: AbsentHeads | undefined,
): { sup: Tensor; pseudo: Tensor } {
  if (absent === undefined) return crossEntropies(heads, { labels, pseudo }, ohem);
  const { device } = heads[0]!;
  const lost =
    absent instanceof torch.Tensor
      ? absent
      : torch.tensor(BigInt64Array.from(absent, BigInt), { device });
  const losses = heads.map((head, m) => {
    if (m === heads.length - 1) return crossEntropies([head], { labels, pseudo }, ohem);
    const isLost = lost.eq(m).reshape([-1, 1, 1]);
    const kept = (given: Tensor | undefined) =>
      given?.maskedFill(isLost.narrow(0, 0, given.shape[0]!), ohem.ignoreIndex ?? IGNORE_LABEL);
    return crossEntropies([head], { labels: kept(labels), pseudo: kept(pseudo) }, ohem);
  });
  const mean = (each: (loss: { sup: Tensor; pseudo: Tensor }) => Tensor) =>
    torch.stack(losses.map(each)).mean();
  return { sup: mean(({ sup }) => sup), pseudo: mean((loss) => loss.pseudo) };
}

/**
 * Cross entropy with the teacher's labels, mean over pixels and heads; 0 where all are ignored.
 * @param heads logits of any resolution, [B, K, h, w] each
 * @param labels [B, H, W] int64, 255 = ignore
 * @param peers with whom the batch is shared, if with any
 */
export function pseudoLoss(heads: readonly Tensor[], labels: Tensor, peers: Peers = ALONE): Tensor {
  checkArguments(
    'pseudoLoss',
    { heads, labels, peers },
    { heads: is.listOf(is.tensor), labels: is.tensor, peers: peersShape },
  );

  const unused = { threshold: 1, minKept: 0, ignoreIndex: IGNORE_LABEL, peers };
  return crossEntropies(heads, { pseudo: labels }, unused).pseudo;
}

/**
 * A supervised loss with the penalty that the model adds to it, where it does: as the authors have it,
 * inside what is reported as the supervised loss, the teacher's too.
 * @param peers with whom the batch is shared, if with any: the mean of theirs
 */
export function withPenalty(
  sup: Tensor,
  options: Pick<Prediction, 'penalty'>,
  peers: Peers = ALONE,
): Tensor {
  checkArguments(
    'withPenalty',
    { sup, options, peers },
    { sup: is.tensor, options: is.record, peers: peersShape },
  );
  const { penalty } = options;

  if (penalty === undefined) return sup;
  // A mean over the samples, of which all have as many; or of the weights, which are the same.
  return sup.add(peers.worldSize === 1 ? penalty : peers.sum(penalty.div(peers.worldSize)));
}

/**
 * A supervised loss with `weight` times the soft Dice loss, 1 − 2 Σ p·y / (Σ p + Σ y) of each class that
 * the labels hold, mean over these and the heads, at the heads' resolution (Milletari et al. 2016).
 * @param heads logits, [B, K, h, w] each
 * @param labels [N, H, W] int64 with N ≤ B: the labels of the first N samples
 * @param peers with whom the batch is shared, if with any: the sums are over all of it
 */
export function withDice(
  sup: Tensor,
  heads: readonly Tensor[],
  labels: Tensor,
  weight: number,
  peers: Peers = ALONE,
): Tensor {
  checkArguments(
    'withDice',
    { sup, heads, labels, weight, peers },
    {
      sup: is.tensor,
      heads: is.listOf(is.tensor),
      labels: is.tensor,
      weight: is.finite,
      peers: peersShape,
    },
  );

  if (weight === 0) return sup;
  const [, classes, ...size] = heads[0]!.shape as [number, number, number, number];
  const small = nearest(labels, size);
  const truth = oneHot(small, classes); // [N, h, w, K]
  const labelled = small.lt(classes).unsqueeze(-1);
  const pixels = peers.sum(truth.sum([0, 1, 2]));
  const present = pixels.gt(0).to('float32');
  const losses = heads.map((head) => {
    const said = head.narrow(0, 0, labels.shape[0]!).softmax(1).permute([0, 2, 3, 1]).mul(labelled);
    const own = torch.stack([said.mul(truth).sum([0, 1, 2]).mul(2), said.sum([0, 1, 2])]);
    const [both, all] = peers.sum(own).unbind(0) as [Tensor, Tensor];
    const dice = both.div(all.add(pixels).clamp(1e-6));
    return dice.neg().add(1).mul(present).sum().div(present.sum().clamp(1));
  });
  return sup.add(torch.stack(losses).mean(), { alpha: weight });
}

/** sup + λ · pseudo. */
export function totalLoss(sup: Tensor, pseudo: Tensor, weight: number | Tensor): Tensor {
  checkArguments(
    'totalLoss',
    { sup, pseudo, weight },
    { sup: is.tensor, pseudo: is.tensor, weight: is.either(is.finite, is.tensor) },
  );

  return typeof weight === 'number'
    ? sup.add(pseudo, { alpha: weight })
    : sup.add(pseudo.mul(weight));
}

/** λ at an iteration: 0 in the supervised beginning, then its warm-up, then its full value. */
export function pseudoWeight(
  options: { lambda: number; lambdaWarmup: number; supervisedIterations?: number },
  iteration: number,
): number {
  checkArguments(
    'pseudoWeight',
    { options, iteration },
    {
      options: is.shape('options', { lambda: is.finite, lambdaWarmup: is.finite }),
      iteration: is.finite,
    },
  );
  const { lambda, lambdaWarmup, supervisedIterations = 0 } = options;

  if (iteration < supervisedIterations) return 0;
  return iteration < lambdaWarmup ? (lambda * iteration) / lambdaWarmup : lambda;
}

/** minKept of m3l.md section 5: floor(fraction · H · W) for every labelled image of the batch. */
export function minKeptPixels(labelled: Tensor, fraction: number): number {
  checkArguments(
    'minKeptPixels',
    { labelled, fraction },
    { labelled: is.tensor, fraction: is.finite },
  );

  const [batch, height, width] = labelled.shape as [number, number, number];
  return Math.floor(fraction * height * width) * batch;
}
