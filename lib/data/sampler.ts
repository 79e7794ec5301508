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
}

/**
 * Shuffled epochs of a fixed number of iterations. A list shorter than the epoch is repeated as often
 * as it fits whole; the rest is drawn without replacement. The order follows from (seed, epoch) alone,
 * so a resumed run only asks for its next iteration.
 */
export class TrainingSampler implements Sampler {
  readonly iterationsPerEpoch: number;
  private readonly length: number;
  private readonly batchSize: number;
  private readonly seed: number;
  // Prefetching crosses the border of two epochs: the order of both is kept.
  private readonly orders = new Map<number, Uint32Array>();

  constructor(options: TrainingSamplerOptions) {
    checkArguments('TrainingSampler', { options }, { options: trainingSamplerOptionsShape });
    const { length, batchSize, iterationsPerEpoch, seed = 0 } = options;

    this.length = length;
    this.batchSize = positive('batchSize', batchSize);
    this.iterationsPerEpoch = positive(
      'iterationsPerEpoch',
      iterationsPerEpoch ?? Math.ceil(positive('length', length) / batchSize),
    );
    this.seed = seed;
  }

  batch(iteration: number): Draw[] {
    const epoch = Math.floor(iteration / this.iterationsPerEpoch);
    const start = (iteration % this.iterationsPerEpoch) * this.batchSize;
    const order = this.orders.get(epoch) ?? this.shuffle(epoch);
    return Array.from({ length: this.batchSize }, (_, k) => ({
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

/** The list in its own order, once; the last batch may be smaller. */
export class SequentialSampler implements Sampler {
  readonly iterationsPerEpoch: number;

  constructor(
    private readonly length: number,
    private readonly batchSize: number,
  ) {
    this.iterationsPerEpoch = Math.ceil(length / positive('batchSize', batchSize));
  }

  batch(iteration: number): Draw[] {
    const epoch = Math.floor(iteration / this.iterationsPerEpoch);
    const start = (iteration % this.iterationsPerEpoch) * this.batchSize;
    const count = Math.min(this.batchSize, this.length - start);
    return Array.from({ length: count }, (_, k) => {
      return { epoch, position: start + k, index: start + k };
    });
  }
}

function positive(name: string, value: number): number {
  if (Number.isInteger(value) && value > 0) return value;
  throw new DataError('M3L_DATA_OPTIONS', `${name}: found ${value}, expected a positive integer.`);
}
