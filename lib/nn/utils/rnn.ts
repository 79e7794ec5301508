/** Sequences of different lengths in one tensor, as PyTorch's `nn.utils.rnn`. */
import { ArgumentError, describe } from '../../torch/errors.js';
import * as torch from '../../torch/index.js';
import { Tensor } from '../../torch/index.js';
import { requireIterable, withDefaults } from '../../torch/require.js';
import { requireCounts, requireRank, requireTensor } from '../check.js';
import { tensorsOf } from './parameters.js';

/**
 * Sequences by time step: those of step 0, longest sequence first, then those of step 1, … The fields
 * are PyTorch's. `packPaddedSequence` and `packSequence` make one.
 */
export class PackedSequence {
  constructor(
    /** [sum of the lengths, …] */
    readonly data: Tensor,
    /** int64 [T] on the CPU: how many sequences have each step. */
    readonly batchSizes: Tensor,
    /** int64 [B]: which sequence is the longest, and so on; null where they came in that order. */
    readonly sortedIndices: Tensor | null = null,
    readonly unsortedIndices: Tensor | null = null,
  ) {}

  /** Other data of the same steps. */
  withData(data: Tensor): PackedSequence {
    return new PackedSequence(data, this.batchSizes, this.sortedIndices, this.unsortedIndices);
  }

  /** A state [layers, B, …] in the order of the sequences by length. */
  sorted(state: Tensor): Tensor {
    return this.sortedIndices ? state.indexSelect(1, this.sortedIndices) : state;
  }

  /** A state [layers, B, …] in the order in which the sequences came. */
  unsorted(state: Tensor): Tensor {
    return this.unsortedIndices ? state.indexSelect(1, this.unsortedIndices) : state;
  }
}

/** Lengths as a list of numbers. */
function listOf(lengths: readonly number[]): number[] {
  requireIterable(lengths, 'nn.utils.rnn: lengths');
  const list = [...lengths];
  for (const length of list) requireCounts('nn.utils.rnn', { length }, 0);
  return list;
}

interface PackOptions {
  /** Sequences as [B,T,…] instead of [T,B,…]. */
  batchFirst: boolean;
  /** Whether the sequences come longest first, and stay so. */
  enforceSorted: boolean;
}

/**
 * Packs padded sequences [T,B,…].
 *
 * @param lengths of the sequences, [B], from 1 on.
 */
export function packPaddedSequence(
  x: Tensor,
  lengths: Tensor | readonly number[],
  options: { batchFirst?: boolean; enforceSorted?: boolean } = {},
): PackedSequence {
  const defaults: PackOptions = { batchFirst: false, enforceSorted: true };
  const { batchFirst, enforceSorted } = withDefaults('packPaddedSequence', defaults, options);
  requireTensor('packPaddedSequence', x);
  const given = lengths instanceof Tensor ? lengths.to('cpu') : torch.tensor(listOf(lengths));
  const counts = given.to('int64');
  if (enforceSorted) {
    const [data, sizes] = pack(x, counts, batchFirst);
    return new PackedSequence(data, sizes);
  }
  const [sorted, order] = counts.sort(-1, true);
  const indices = order.to(x.device);
  const [data, sizes] = pack(x.indexSelect(batchFirst ? 0 : 1, indices), sorted, batchFirst);
  return new PackedSequence(data, sizes, indices, indices.argsort());
}

function pack(x: Tensor, lengths: Tensor, batchFirst: boolean): [data: Tensor, sizes: Tensor] {
  return torch.ops.aten!._pack_padded_sequence!(x, lengths, batchFirst) as [Tensor, Tensor];
}

interface PadOptions {
  batchFirst: boolean;
  paddingValue: number;
}
const PAD: PadOptions = { batchFirst: false, paddingValue: 0 };

/** The inverse of `packPaddedSequence`: padded sequences [T,B,…] and their lengths, int64 [B]. */
export function padPackedSequence(
  sequence: PackedSequence,
  options: { batchFirst?: boolean; paddingValue?: number; totalLength?: number | null } = {},
): [padded: Tensor, lengths: Tensor] {
  if (!(sequence instanceof PackedSequence)) {
    throw new ArgumentError(
      `padPackedSequence: found ${describe(sequence)}, expected a PackedSequence`,
    );
  }
  const defaults: PadOptions & { totalLength: number | null } = { ...PAD, totalLength: null };
  const known = withDefaults('padPackedSequence', defaults, options);
  const { batchFirst, paddingValue, totalLength } = known;
  const { data, batchSizes, unsortedIndices } = sequence;
  const steps = batchSizes.shape[0]!;
  if (totalLength !== null && totalLength < steps) {
    throw new ArgumentError(
      `padPackedSequence: found the totalLength ${totalLength}, expected at least the longest sequence's ${steps}`,
    );
  }
  const operator = torch.ops.aten!._pad_packed_sequence!;
  const total = totalLength ?? steps;
  const [padded, lengths] = operator(data, batchSizes, batchFirst, paddingValue, total) as Tensor[];
  if (unsortedIndices === null) return [padded!, lengths!];
  return [
    padded!.indexSelect(batchFirst ? 0 : 1, unsortedIndices),
    lengths!.indexSelect(0, unsortedIndices.to('cpu')),
  ];
}

/** Sequences [T_i, …] padded to the longest: [T,B,…]. */
export function padSequence(
  sequences: readonly Tensor[],
  options: {
    batchFirst?: boolean;
    paddingValue?: number;
    paddingSide?: 'left' | 'right';
  } = {},
): Tensor {
  const defaults: PadOptions & { paddingSide: 'left' | 'right' } = { ...PAD, paddingSide: 'right' };
  const known = withDefaults('padSequence', defaults, options);
  const { batchFirst, paddingValue, paddingSide } = known;
  return torch.padSequence(sequences, batchFirst, paddingValue, paddingSide);
}

/** The inverse of `padSequence`: the sequences without their padding. */
export function unpadSequence(
  padded: Tensor,
  lengths: Tensor | readonly number[],
  options: { batchFirst?: boolean } = {},
): Tensor[] {
  const { batchFirst } = withDefaults('unpadSequence', { batchFirst: false }, options);
  requireRank('unpadSequence', padded, [2, 3, 4, 5, 6], 'padded sequences [T,B,…]');
  const counts = lengths instanceof Tensor ? (lengths.toArray() as number[]) : listOf(lengths);
  const batchDim = batchFirst ? 0 : 1;
  return counts.map((length, i) => padded.select(batchDim, i).narrow(0, 0, Number(length)));
}

/** Packs sequences [T_i, …]. */
export function packSequence(
  sequences: readonly Tensor[],
  options: { enforceSorted?: boolean } = {},
): PackedSequence {
  const list = tensorsOf(sequences, 'packSequence');
  for (const sequence of list) requireRank('packSequence', sequence, [1, 2, 3, 4, 5, 6], '[T,…]');
  const lengths = list.map((sequence) => sequence.shape[0]!);
  return packPaddedSequence(padSequence(list), lengths, options);
}
