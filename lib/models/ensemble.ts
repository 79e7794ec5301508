import type { StatisticsGroup } from '../nn/index.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { type Masks, maskedRows } from './missing-modalities/inputs.js';
import type { ForwardOptions } from './segmentation-model.js';

/**
 * Whose heads the ensemble of a sample weighs, and how: those of the modalities that are there, for what
 * each says beyond what it always says (`evidence`) or as it says it (`present`), or all as they say it
 * (`all`, the paper's), where streams of what is missing vote as loudly as the others.
 */
export const ENSEMBLES = ['evidence', 'present', 'all'] as const;

/** A rule by which the ensemble weighs heads; see `ENSEMBLES`. */
export type EnsembleRule = (typeof ENSEMBLES)[number];

/** The heads that vote in a batch. */
export interface Votes {
  /** Modalities whose heads vote, ascending: those that some sample has. */
  voters: readonly number[];
  /** [V, B] bool: which of these is missing in which sample after all; null: none. */
  absent: Tensor | null;
}

/**
 * Who votes by `rule`. A modality is missing where its input is null, masked as a whole or `filled`;
 * of a partly masked one (`maskingRatio` below 1) something is there. Masks that are tensors are not
 * read here but on the device.
 */
export function votesOf(
  inputs: readonly (Tensor | null)[],
  { masked, maskingRatio = 1, filled }: ForwardOptions,
  rule: EnsembleRule = 'evidence',
): Votes {
  const all = inputs.map((_, m) => m);
  if (rule === 'all') return { voters: all, absent: null };
  const whole = filled instanceof Set ? filled : new Set<number>();
  const masks: Masks[] = [];
  if (masked && maskingRatio >= 1) masks.push(masked);
  if (filled && !(filled instanceof Set)) masks.push(filled as Masks);

  const { device, shape } = inputs.find((input) => input !== null)!;
  const samples = Array.from({ length: shape[0]! }, (_, b) => b);
  const known = masks.filter((each) => !(each instanceof torch.Tensor)) as (readonly number[])[];
  const voters = all.filter(
    (m) =>
      inputs[m] !== null &&
      !whole.has(m) &&
      !(known.length > 0 && samples.every((b) => known.some((each) => each[b] === m))),
  );
  if (voters.length === 0) return { voters: all, absent: null };
  const rows = masks.flatMap(
    (each) => maskedRows(voters, samples.length, { masked: each }, device) ?? [],
  );
  if (rows.length === 0) return { voters, absent: null };
  const absent = rows.reduce((either, each) => either.logicalOr(each));
  return { voters, absent: absent.view([voters.length, samples.length]) };
}

/**
 * What stands for α of a head that does not vote: its softmax beside any other is 0. Finite, so that a
 * sample that has nothing at all gets equal weights, not NaN.
 */
const SILENT = -1e4;

/** What the ensemble weighs heads by. */
export interface Weighing {
  /** [M] */
  alpha: Tensor;
  /** [M, K], as `rememberShares` keeps them: by `evidence`; absent: heads count as they speak. */
  headShares?: Tensor | undefined;
}

/**
 * Σ_m w_mb · detach(prediction_mb) − max(¼, 1 − Σ_m w_mb²) · Σ_m w_mb · log π_m, where w_b is the softmax
 * of α over those that vote in sample b and π_m the shares of the classes in what head m says, times K
 * (m3l.md section 3). It trains α alone, by its first sum. Without π there is no other.
 *
 * Of V heads of one weight the second sum is (1 − 1/V) of the mean of log π: but for a factor the ensemble
 * is Σ_m (log p_m − log π_m) + log π, by which independent witnesses are to be combined. A head that
 * always says the same says nothing by it. The quarter, which a head by itself has too, is for classes that
 * are rare: they count as much as others in what is measured (logit adjustment, Menon et al. 2021).
 *
 * @param predictions [V·B, K, h, w], those of the voters
 * @returns [B, K, h, w]
 */
export function ensemble(
  predictions: Tensor,
  { alpha, headShares }: Weighing,
  { voters, absent }: Votes,
): Tensor {
  const count = voters.length;
  const [rows, ...map] = predictions.shape as [number, ...number[]];
  const alpha_V =
    count === alpha.shape[0] ? alpha : torch.stack(voters.map((m) => alpha.select(0, m)));
  const log_VK = headShares ? logShares(headShares, voters) : null;
  if (absent === null) {
    const weights_V = alpha_V.softmax(0);
    const detached = predictions.detach().view([count, -1]); // [V, B·K·h·w]
    const voted = weights_V
      .unsqueeze(0)
      .mm(detached)
      .view([rows / count, ...map]);
    return log_VK === null ? voted : voted.sub(known(weights_V.unsqueeze(1), log_VK));
  }
  const weights_VB = alpha_V
    .unsqueeze(1)
    .expand(absent.shape)
    .maskedFill(absent, SILENT)
    .softmax(0);
  const detached = predictions.detach().view([...absent.shape, -1]); // [V, B, K·h·w]
  const voted = weights_VB
    .t()
    .unsqueeze(1)
    .bmm(detached.transpose(0, 1)) // [B, 1, K·h·w]
    .view([rows / count, ...map]);
  return log_VK === null ? voted : voted.sub(known(weights_VB, log_VK));
}

/** The least part of log π that is taken off, also where one head is alone. */
const LEAST_OFF = 0.25;

/** What the voters together say anyhow, [B, K, 1, 1], from weights [V, B] and log π [V, K]. */
function known(weights: Tensor, logShares: Tensor): Tensor {
  // Else α would learn to take less off: the loss of the labelled pixels knows no rare classes.
  const own = weights.detach();
  const alone = own.square().sum([0]); // 1 where one head decides, 1/V where all do
  const off = alone.neg().add(1).clamp(LEAST_OFF);
  const said = own.t().mm(logShares).mul(off.unsqueeze(1));
  return said.reshape([...said.shape, 1, 1]);
}

/** A batch moves what is remembered of its heads by this share. */
const FORGET = 0.01;
/** Shares below this count as it: of a class that a head never says nothing is known. */
const LEAST_SHARE = 1e-3;

function logShares(headShares: Tensor, voters: readonly number[]): Tensor {
  const rows =
    voters.length === headShares.shape[0]
      ? headShares
      : torch.stack(voters.map((m) => headShares.select(0, m)));
  // A head that never was trained has said nothing: all alike.
  const sums = rows.add(LEAST_SHARE * FORGET);
  // Times K, which moves all classes alike, so that nothing is added where all shares are.
  return sums
    .div(sums.mean([1], true))
    .clamp(LEAST_SHARE * rows.shape[1]!)
    .log();
}

/**
 * Takes into `headShares` [M, K] the mean probability of each class by the heads of those who vote: a
 * moving average over batches, those counting less of which fewer samples have the modality. It starts at 0:
 * only the ratios count.
 * @param predictions [V·B, K, h, w], those of the voters
 * @param group the processes that share the batch, if any do
 */
export function rememberShares(
  headShares: Tensor,
  predictions: Tensor,
  { voters, absent }: Votes,
  group: StatisticsGroup | null = null,
): void {
  torch.noGrad(() => {
    const said = predictions.detach().softmax(1).mean([2, 3]); // [V·B, K]
    const said_VBK = said.view([voters.length, -1, headShares.shape[1]!]);
    const there = absent?.logicalNot().to('float32').unsqueeze(2); // [V, B, 1]
    const news = (there ? said_VBK.mul(there) : said_VBK).mean([1]).mul(FORGET); // [V, K]
    const kept = there?.mean([1]).mul(-FORGET).add(1); // [V, 1]
    if (group !== null) {
      rememberTogether(headShares, voters, news, kept, group);
      return;
    }
    for (const [v, m] of voters.entries()) {
      const own = headShares.select(0, m);
      if (kept) own.mul_(kept.select(0, v));
      else own.mul_(1 - FORGET);
      own.add_(news.select(0, v));
    }
  });
}

/** The same of a batch that processes share: a modality that the own samples lack others may have. */
function rememberTogether(
  headShares: Tensor,
  voters: readonly number[],
  news: Tensor,
  kept: Tensor | undefined,
  group: StatisticsGroup,
): void {
  const [modalities, classes] = headShares.shape as [number, number];
  const own = torch.zeros([modalities, classes + 1], { device: headShares.device });
  for (const [v, m] of voters.entries()) {
    const lost = kept ? kept.select(0, v).neg().add(1) : torch.full([1], FORGET);
    own.select(0, m).copy_(torch.cat([news.select(0, v), lost.to({ device: own.device })]));
  }
  group.allReduce(own.div_(group.worldSize), 'sum');
  headShares.mul_(own.narrow(1, classes, 1).neg().add(1)).add_(own.narrow(1, 0, classes));
}
