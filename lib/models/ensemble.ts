import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { type Masks, maskedRows } from './missing-modalities/inputs.js';
import type { ForwardOptions } from './segmentation-model.js';

/**
 * Whose heads the ensemble of a sample weighs: those of the modalities that are there (`present`), or
 * all (`all`, the paper's), whose streams of what is missing vote as loudly as the others.
 */
export const ENSEMBLES = ['present', 'all'] as const;

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
  rule: EnsembleRule = 'present',
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

/**
 * Σ_m w_mb · detach(prediction_mb), where w_b is the softmax of α over those that vote in sample b
 * (m3l.md section 3): it trains α alone.
 * @param predictions [V·B, K, h, w], those of the voters
 * @param alpha [M]
 * @returns [B, K, h, w]
 */
export function ensemble(predictions: Tensor, alpha: Tensor, { voters, absent }: Votes): Tensor {
  const count = voters.length;
  const [rows, ...map] = predictions.shape as [number, ...number[]];
  const alpha_V =
    count === alpha.shape[0] ? alpha : torch.stack(voters.map((m) => alpha.select(0, m)));
  if (absent === null) {
    const detached = predictions.detach().view([count, -1]); // [V, B·K·h·w]
    return alpha_V
      .softmax(0)
      .unsqueeze(0)
      .mm(detached)
      .view([rows / count, ...map]);
  }
  const weights_VB = alpha_V
    .unsqueeze(1)
    .expand(absent.shape)
    .maskedFill(absent, SILENT)
    .softmax(0);
  const detached = predictions.detach().view([...absent.shape, -1]); // [V, B, K·h·w]
  const voted = weights_VB.t().unsqueeze(1).bmm(detached.transpose(0, 1)); // [B, 1, K·h·w]
  return voted.view([rows / count, ...map]);
}
