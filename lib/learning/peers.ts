import type { Shard } from '../data/index.js';
import { checkArguments } from '../torch/check-arguments.js';
import type { distributed, Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { collectivesShape } from './rules.js';

/** What processes speak over. */
export type Collectives = distributed.ProcessGroup;

/**
 * The processes that train together, each on its part of every batch; a process that trains alone is the
 * only one of them. Every process must call the same methods in the same order.
 */
export interface Peers extends Shard {
  /** What they speak over; null where there is nobody. */
  readonly group: Collectives | null;
  /**
   * The sum of a tensor over the processes, for what each then computes alike from it: the gradient of
   * the sum goes to the own tensor as it is, and the parameters' gradients are added up afterwards.
   */
  sum(tensor: Tensor): Tensor;
  /** Of each process its tensor, by rank; without gradients. */
  gather(tensor: Tensor): Tensor[];
}

/** A process that trains by itself. */
export const ALONE: Peers = {
  rank: 0,
  worldSize: 1,
  group: null,
  sum: (tensor) => tensor,
  gather: (tensor) => [tensor],
};

/** The processes of a group. */
export function peersOf(group: Collectives): Peers {
  checkArguments('peersOf', { group }, { group: collectivesShape });

  const { rank, worldSize } = group;
  const sum = torch.customFunction({
    forward(_, tensor: Tensor) {
      const total = tensor.detach().clone({ memoryFormat: 'contiguous' });
      group.allReduce(total, 'sum');
      return total;
    },
    backward: (_, gradient) => gradient,
  });
  return {
    rank,
    worldSize,
    group,
    sum,
    gather: (tensor) => group.allGather(tensor.detach().contiguous()),
  };
}

/**
 * Which rows of the whole batch are this process's: its batch holds `counts` rows of each kind, one kind
 * after the other, and so does the whole batch, of each kind the processes' rows by rank.
 */
export function ownRows({ rank, worldSize }: Shard, counts: readonly number[]): number[] {
  let before = 0;
  return counts.flatMap((count) => {
    const from = before + rank * count;
    before += worldSize * count;
    return Array.from({ length: count }, (_, row) => from + row);
  });
}

/** What this process's rows have of what was drawn for the whole batch. */
export function ownOf<Drawn>(
  shard: Shard,
  counts: readonly number[],
  draw: (rows: number) => readonly Drawn[],
): Drawn[] {
  const whole = draw(shard.worldSize * counts.reduce((sum, count) => sum + count, 0));
  return ownRows(shard, counts).map((row) => whole[row]!);
}
