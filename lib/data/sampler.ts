import { checkArguments } from '../torch/check-arguments.js';
import { DataError } from './errors.js';
import { Random, Stream } from './random.js';
import { trainingSamplerOptionsShape } from './rules.js';

/** One place in an epoch, and the sample that stands there. */
export interface Draw {
  readonly epoch: number;
  /** Place in the epoch. */
  readonly position: number;
  /** Index into the data set. */
  readonly index: number;
}

/** Whose part of each batch is asked for, where several processes share it: equal parts, in their order. */
export interface Shard {
  /** Which of them this one is, from 0. */
  readonly rank: number;
  readonly worldSize: number;
}

/** Which samples make up the batch of an iteration. Stateless: any iteration can be asked for. */
export interface Sampler {
  /** Iterations of one epoch. */
  readonly iterationsPerEpoch: number;
  batch(iteration: number): Draw[];
}

export interface TrainingSamplerOptions {
  /** Number of samples in the list. */
  readonly length: number;
  readonly batchSize: number;
  /** Default: as many as go once through the list. */
  readonly iterationsPerEpoch?: number;
  readonly seed?: number;
  /** Only this part of each batch of `batchSize`; absent: all of it. */
  readonly shard?: Shard | undefined;
}

/**
 * Shuffled epochs of a fixed number of iterations. A list shorter than the epoch is repeated as often
 * as it fits whole; the rest is drawn without replacement. The order follows from (seed, epoch) alone,
 * so a resumed run only asks for its next iteration, and the parts of several processes are together
 * what one would have.
 */
export class TrainingSampler implements Sampler {
  readonly iterationsPerEpoch: number;
  private readonly length: number;
  private readonly batchSize: number;
  private readonly seed: number;
  private readonly shard: Shard;
  // Prefetching crosses the border of two epochs: the order of both is kept.
  private readonly orders = new Map<number, Uint32Array>();

  constructor(options: TrainingSamplerOptions) {
    checkArguments('TrainingSampler', { options }, { options: trainingSamplerOptionsShape });
    const { length, batchSize, iterationsPerEpoch, seed = 0, shard = WHOLE } = options;

    this.length = length;
    this.batchSize = positive('batchSize', batchSize);
    this.iterationsPerEpoch = positive(
      'iterationsPerEpoch',
      iterationsPerEpoch ?? Math.ceil(positive('length', length) / batchSize),
    );
    this.seed = seed;
    this.shard = checkedShard(shard);
    if (batchSize % shard.worldSize !== 0) {
      throw new DataError(
        'M3L_DATA_OPTIONS',
        `batchSize: found ${batchSize} over ${shard.worldSize} processes, expected a multiple of ` +
          `${shard.worldSize}: each takes an equal part of a batch. Give another size, or fewer processes.`,
      );
    }
  }

  batch(iteration: number): Draw[] {
    const epoch = Math.floor(iteration / this.iterationsPerEpoch);
    const { rank, worldSize } = this.shard;
    const count = this.batchSize / worldSize;
    const start = (iteration % this.iterationsPerEpoch) * this.batchSize + rank * count;
    const order = this.orders.get(epoch) ?? this.shuffle(epoch);
    return Array.from({ length: count }, (_, k) => ({
      epoch,
      position: start + k,
      index: order[start + k]!,
    }));
  }

  private shuffle(epoch: number): Uint32Array {
    const random = new Random(Stream.order, this.seed, epoch);
    const total = this.iterationsPerEpoch * this.batchSize;
    const whole = Math.floor(total / this.length) * this.length;
    const rest = random.shuffle(Uint32Array.from({ length: this.length }, (_, index) => index));
    const order = Uint32Array.from({ length: total }, (_, k) =>
      k < whole ? k % this.length : rest[k - whole]!,
    );
    random.shuffle(order);
    for (const old of this.orders.keys()) {
      if (this.orders.size >= 2) this.orders.delete(old);
    }
    this.orders.set(epoch, order);
    return order;
  }
}

/**
 * The list in its own order, once; the last batch may be smaller. Of several processes each has whole
 * batches that follow one another, as many as the others or one less.
 */
export class SequentialSampler implements Sampler {
  /** Of this process; 0 where there are fewer batches than processes. */
  readonly iterationsPerEpoch: number;
  /** Samples of the list before the first of this process. */
  readonly first: number;

  constructor(
    private readonly length: number,
    private readonly batchSize: number,
    shard: Shard = WHOLE,
  ) {
    const batches = Math.ceil(length / positive('batchSize', batchSize));
    const { rank, worldSize } = checkedShard(shard);
    const [from, to] = [rank, rank + 1].map((part) => Math.floor((part * batches) / worldSize));
    this.iterationsPerEpoch = to! - from!;
    this.first = Math.min(length, from! * batchSize);
  }

  batch(iteration: number): Draw[] {
    const epoch = Math.floor(iteration / this.iterationsPerEpoch);
    const start = this.first + (iteration % this.iterationsPerEpoch) * this.batchSize;
    const count = Math.min(this.batchSize, this.length - start);
    return Array.from({ length: count }, (_, k) => {
      return { epoch, position: start + k, index: start + k };
    });
  }
}

const WHOLE: Shard = { rank: 0, worldSize: 1 };

function checkedShard(shard: Shard): Shard {
  const { rank, worldSize } = shard;
  const isCount = Number.isInteger(worldSize) && worldSize > 0;
  if (isCount && Number.isInteger(rank) && rank >= 0 && rank < worldSize) return shard;
  throw new DataError(
    'M3L_DATA_OPTIONS',
    `shard: found rank ${rank} of ${worldSize}, expected an integer from 0 below the number of processes.`,
  );
}

function positive(name: string, value: number): number {
  if (Number.isInteger(value) && value > 0) return value;
  throw new DataError('M3L_DATA_OPTIONS', `${name}: found ${value}, expected a positive integer.`);
}
