import { checkArguments } from '../torch/check-arguments.js';
import * as is from '../torch/rules.js';
import { type Batch, collate, disposeBatch, groupBySize } from './collate.js';
import type { ListDataset } from './dataset.js';
import { augmentBatch } from './device-augment.js';
import { DataError } from './errors.js';
import type { Transform } from './geometry.js';
import { dataLoaderOptionsShape } from './rules.js';
import {
  type LoadedSample,
  type RawSample,
  SampleLoader,
  type SampleTask,
} from './sample-loader.js';
import { type Sampler, SequentialSampler, type Shard, TrainingSampler } from './sampler.js';
import { WorkerPool } from './worker-pool.js';

/**
 * Where pictures are cropped, scaled, flipped and normalised: in the `worker` that decoded them, which
 * then sends float32 tensors' worth, or on the `device`, as tensor operations on the stored 8- and
 * 16-bit pixels. Both give the same batch up to rounding (1e-6).
 */
export type AugmentOn = 'worker' | 'device';

/** What a loader takes by name. */
export interface DataLoaderOptions {
  /** Training transforms draw shuffled batches without end; evaluation goes through the list once. */
  readonly transform: Transform;
  readonly batchSize: number;
  /** Seeds the order and the augmentation. Default 0. */
  readonly seed?: number;
  /** Training only. Default: as many as go once through the list. */
  readonly iterationsPerEpoch?: number;
  /** Threads that decode and augment; 0 (the default): the main thread does. Never changes a value. */
  readonly workers?: number;
  /** How many batches are made ahead of the one asked for. Default 2 with workers, else 0. */
  readonly prefetch?: number;
  /** Decoded images kept in memory, over all workers. Default 256 MiB. */
  readonly cacheBytes?: number;
  /** Where the tensors go. Default `cpu`. */
  readonly device?: string;
  /** Default `worker` for the CPU, where it takes less time, and `device` for a GPU. */
  readonly augmentOn?: AugmentOn;
  /**
   * This process's part, where several share the set: of each batch of `batchSize` in training, of the
   * list in evaluation. Absent: all.
   */
  readonly shard?: Shard | undefined;
  /** Closes the loader; what waits rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

type AnySample = LoadedSample | RawSample;

/** The samples of an iteration that was asked for ahead of time. */
interface Coming {
  readonly promise: Promise<AnySample[]>;
  /** Null until all are there. */
  samples: AnySample[] | null;
}

const DEFAULT_CACHE_BYTES = 256 * 2 ** 20;

/**
 * Makes the batches of a data set. The batch of an iteration follows from (seed, iteration) alone,
 * whatever the number of workers and whatever was asked for before: a resumed training asks for the
 * iteration that it stopped at.
 *
 * The tensors of a batch belong to no scope: they are the caller's, to dispose of.
 */
export class DataLoader {
  readonly dataset: ListDataset;
  /** Iterations of one epoch; in evaluation, of the whole list, or of this process's part of it. */
  readonly iterationsPerEpoch: number;
  /** Samples of the list before the first of this process, in evaluation; else 0. */
  readonly first: number;
  private readonly options: DataLoaderOptions;
  private readonly sampler: Sampler;
  private readonly augmentOn: AugmentOn;
  private readonly pool: WorkerPool<SampleTask, AnySample> | null;
  private readonly local: SampleLoader | null;
  private readonly prefetch: number;
  private readonly ahead = new Map<number, Coming>();
  private prepared: { iteration: number; batch: Batch } | null = null;
  private readonly onAbort: () => void;
  private closedBy: unknown = null;

  /** @throws DataError M3L_DATA_OPTIONS */
  constructor(dataset: ListDataset, options: DataLoaderOptions) {
    checkArguments(
      'DataLoader',
      { dataset, options },
      { dataset: is.record, options: dataLoaderOptionsShape },
    );

    const { transform, batchSize, seed = 0, iterationsPerEpoch, workers = 0, signal } = options;
    const { shard } = options;
    if (!(Number.isInteger(workers) && workers >= 0)) {
      throw new DataError(
        'M3L_DATA_OPTIONS',
        `workers: found ${workers}, expected 0 or a positive integer.`,
      );
    }
    this.dataset = dataset;
    this.options = options;
    const { length } = dataset;
    if (transform.kind === 'training') {
      this.sampler = new TrainingSampler({ length, batchSize, iterationsPerEpoch, seed, shard });
      this.first = 0;
    } else {
      const sampler = new SequentialSampler(length, batchSize, shard);
      this.sampler = sampler;
      this.first = sampler.first;
    }
    this.iterationsPerEpoch = this.sampler.iterationsPerEpoch;
    const { modalities, labelRule, resize, align } = dataset;
    const cacheBytes = (options.cacheBytes ?? DEFAULT_CACHE_BYTES) / Math.max(1, workers);
    const work = { modalities, labelRule, resize, align, transform, seed, cacheBytes };
    const { device = 'cpu', augmentOn = device === 'cpu' ? 'worker' : 'device' } = options;
    this.augmentOn = augmentOn;
    this.local = workers === 0 ? new SampleLoader(work) : null;
    const entry = new URL('./worker.js', import.meta.url);
    this.pool = workers === 0 ? null : new WorkerPool(entry, workers, { ...work, augmentOn });
    this.prefetch = options.prefetch ?? (workers > 0 ? 2 : 0);
    this.onAbort = () => void this.close(signal?.reason);
    if (signal?.aborted) this.onAbort();
    else signal?.addEventListener('abort', this.onAbort, { once: true });
  }

  /**
   * The batch of one iteration (from 0; training has no last one).
   * @throws DataError of the sample that could not be loaded; M3L_LOADER_CLOSED; M3L_LABEL_SIZES
   */
  async batch(iteration: number): Promise<Batch> {
    const samples = await this.samples(iteration);
    const { prepared } = this;
    this.prepared = null;
    if (prepared?.iteration === iteration) return prepared.batch;
    if (prepared) disposeBatch(prepared.batch);
    return this.make(samples);
  }

  /**
   * Makes the tensors of a batch now if its samples have come (they do while `batch` is asked for the
   * iterations before), so that `batch` has them at once: to be called while the device is at work.
   * One batch is kept.
   */
  prepare(iteration: number): void {
    const samples = this.ahead.get(iteration)?.samples;
    if (!samples || this.prepared?.iteration === iteration) return;
    if (this.prepared) disposeBatch(this.prepared.batch);
    this.prepared = { iteration, batch: this.make(samples) };
  }

  /**
   * The batches of iterations `start` to `end` (default: one epoch), in order. Where sizes change
   * within a batch, as labels of an evaluation may, it comes in several parts.
   */
  async *batches(start = 0, end = start + this.remaining(start)): AsyncGenerator<Batch> {
    for (let iteration = start; iteration < end; iteration++) {
      for (const group of groupBySize(await this.samples(iteration, end))) {
        yield this.make(group);
      }
    }
  }

  [Symbol.asyncIterator](): AsyncGenerator<Batch> {
    return this.batches();
  }

  /** Ends the worker threads. What waits rejects with `reason` (default M3L_LOADER_CLOSED). */
  async close(reason?: unknown): Promise<void> {
    this.closedBy ??= reason ?? closedError();
    this.options.signal?.removeEventListener('abort', this.onAbort);
    this.ahead.clear();
    if (this.prepared) disposeBatch(this.prepared.batch);
    this.prepared = null;
    await this.pool?.close(this.closedBy);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** The samples of an iteration; has those of the next ones made as well. */
  private samples(iteration: number, end = Infinity): Promise<AnySample[]> {
    if (this.closedBy !== null) return Promise.reject(this.closedBy);
    const last = Math.min(end, this.end) - 1;
    if (!Number.isInteger(iteration) || iteration < 0 || iteration > last) {
      return Promise.reject(
        new DataError(
          'M3L_DATA_OPTIONS',
          `iteration: found ${iteration}, expected an integer from 0 to ${last}.`,
        ),
      );
    }
    for (const known of this.ahead.keys()) {
      if (known < iteration || known > iteration + this.prefetch) this.ahead.delete(known);
    }
    for (let t = iteration; t <= Math.min(last, iteration + this.prefetch); t++) {
      if (this.ahead.has(t)) continue;
      const promise = Promise.all(this.sampler.batch(t).map((draw) => this.load(draw)));
      const coming: Coming = { promise, samples: null };
      promise.then(
        (samples) => {
          coming.samples = samples;
        },
        // A failure ahead of time is reported when its iteration is asked for.
        () => {},
      );
      this.ahead.set(t, coming);
    }
    const { promise } = this.ahead.get(iteration)!;
    this.ahead.delete(iteration);
    return promise;
  }

  /** One sample always goes to the same worker, whose cache may still hold it. */
  private load(draw: { epoch: number; position: number; index: number }): Promise<AnySample> {
    const task: SampleTask = { ...draw, sample: this.dataset.samples[draw.index]! };
    if (this.pool) return this.pool.run(task, draw.index);
    return this.augmentOn === 'device' ? this.local!.loadRaw(task) : this.local!.load(task);
  }

  private make(samples: readonly AnySample[]): Batch {
    const { modalities } = this.dataset;
    const { device } = this.options;
    return this.augmentOn === 'device'
      ? augmentBatch(samples as RawSample[], modalities, device)
      : collate(samples as LoadedSample[], modalities, device);
  }

  private get end(): number {
    return this.options.transform.kind === 'training' ? Infinity : this.iterationsPerEpoch;
  }

  private remaining(start: number): number {
    const epochs = Math.floor(start / this.iterationsPerEpoch);
    return (epochs + 1) * this.iterationsPerEpoch - start;
  }
}

function closedError(): DataError {
  return new DataError(
    'M3L_LOADER_CLOSED',
    'the loader is closed, expected an open one. Create a new loader.',
  );
}
