import { ensureSynchronous, noGrad } from '../autograd.js';
import { checkArguments } from '../check-arguments.js';
import { tensor as tensorOf } from '../creation.js';
import type { DType } from '../dtype.js';
import { ArgumentError, M3lError } from '../errors.js';
import { zeros } from '../generated/functions.js';
import { ops } from '../ops.js';
import { withDefaults } from '../require.js';
import {
  callback,
  filled,
  instance,
  listOf,
  oneOf,
  positive,
  tensor as tensorRule,
} from '../rules.js';
import { detached, scope } from '../scope.js';
import type { Tensor } from '../tensor.js';
import { begun, ProcessGroup } from './process-group.js';
import type { Work } from './work.js';

/** What `GradientBuckets` takes. */
export interface BucketOptions {
  /** About how many bytes go together, 25 MB by default: less begins sooner, more costs fewer messages. */
  bucketBytes?: number;
  /** Whether gradients become their mean over the ranks (the default) or their sum. */
  operation?: 'mean' | 'sum';
}

const defaults: Required<BucketOptions> = { bucketBytes: 25e6, operation: 'mean' };

/** A parameter and its place in a bucket. */
interface Slot {
  readonly parameter: Tensor;
  readonly view: Tensor;
  arrived: boolean;
}

interface Bucket {
  readonly flat: Tensor;
  /** For each slot whether this rank has a gradient: summed with the gradients, in how many ranks. */
  readonly used: Tensor;
  readonly slots: Slot[];
  missing: number;
  work: Work | null;
}

/**
 * The gradients of parameters, made one over all ranks while the backward still runs: they are gathered
 * in buckets, the last parameter's first, and a bucket's all-reduce begins when its last gradient is
 * there. Every rank has the same parameters in the same order.
 *
 *     const buckets = new GradientBuckets(model.parameters(), group);
 *     loss.backward();
 *     buckets.finish();
 *     optimizer.step();
 */
export class GradientBuckets {
  readonly #buckets: Bucket[] = [];
  readonly #operation: string;
  readonly #removers: (() => void)[] = [];
  /** How many buckets, from the first, have begun: the order is the same in all ranks. */
  #begun = 0;
  #holding = false;
  #disposed = false;
  #waitedMs = 0;
  /** What a step sends, before what the algorithm of the all-reduce makes of it. */
  readonly bytes: number;

  /**
   * Compares the parameters' dtypes and shapes with the other ranks'.
   * @throws M3lError M3L_DISTRIBUTED_MISMATCH where they differ
   */
  constructor(parameters: readonly Tensor[], group: ProcessGroup, options: BucketOptions = {}) {
    const where = 'GradientBuckets';
    const given = withDefaults<Required<BucketOptions>>(where, defaults, options);
    checkArguments(
      where,
      { parameters, group, ...given },
      {
        parameters: filled(listOf(tensorRule)),
        group: instance(ProcessGroup),
        bucketBytes: positive,
        operation: oneOf('mean', 'sum'),
      },
    );
    requireLeaves(parameters);
    requireAlike(parameters, group, given.bucketBytes);
    this.#operation = given.operation;
    for (const members of divided(parameters, given.bucketBytes)) {
      const bucket = detached(() => bucketOf(members));
      this.#buckets.push(bucket);
      for (const slot of bucket.slots) {
        const hook = (gradient: Tensor) => this.#arrive(bucket, slot, gradient);
        this.#removers.push(slot.parameter.registerHook(hook));
      }
    }
    this.bytes = this.#buckets.reduce((sum, { flat }) => sum + flat.nbytes, 0);
  }

  /** How long `finish` has waited for the other ranks in the last step, in milliseconds. */
  get waitedMs(): number {
    return this.#waitedMs;
  }

  /**
   * Runs `fn`, whose backwards only add to this rank's gradients: for all backwards of a step but the
   * last.
   */
  hold<T>(fn: () => T): T {
    checkArguments('GradientBuckets.hold', { fn }, { fn: callback });
    const before = this.#holding;
    this.#holding = true;
    try {
      return ensureSynchronous(fn(), 'GradientBuckets.hold');
    } finally {
      this.#holding = before;
    }
  }

  /**
   * Ends the step's exchange: waits, and gives each parameter the gradient of all ranks, where one that
   * a rank has none of counts as 0 there. A parameter that no rank has a gradient of is left alone.
   * @throws M3lError M3L_DISTRIBUTED_TIMEOUT or M3L_DISTRIBUTED_PEER, after which the group is of no use
   */
  finish(): void {
    this.#requireLive('finish');
    scope(() =>
      noGrad(() => {
        for (const bucket of this.#buckets.slice(this.#begun)) {
          for (const slot of bucket.slots) if (!slot.arrived) fillFromParameter(slot);
        }
        while (this.#begun < this.#buckets.length) this.#begin();
        const before = performance.now();
        for (const { work } of this.#buckets) work!.wait();
        this.#waitedMs = performance.now() - before;
        for (const bucket of this.#buckets) distribute(bucket);
      }),
    );
    this.#reset();
  }

  /** Removes the hooks and frees the buckets. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    for (const remove of this.#removers) remove();
    for (const { flat, used, slots } of this.#buckets) {
      for (const { view } of slots) view.dispose();
      used.dispose();
      flat.dispose();
    }
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #arrive(bucket: Bucket, slot: Slot, gradient: Tensor): null {
    if (this.#holding) return null;
    if (slot.arrived) {
      throw new M3lError(
        'M3L_DISTRIBUTED_STATE',
        'GradientBuckets: a second gradient of a parameter in one step: run all backwards but the last ' +
          'inside hold(), and finish() after the last',
      );
    }
    noGrad(() => {
      slot.view.copy_(gradient);
      // What backwards inside hold() have left there.
      const earlier = slot.parameter.grad;
      if (earlier !== null) slot.view.add_(earlier);
      slot.arrived = true;
      bucket.missing--;
      while (this.#buckets[this.#begun]?.missing === 0) this.#begin();
    });
    return null;
  }

  #begin(): void {
    const bucket = this.#buckets[this.#begun++]!;
    const { flat, used, slots } = bucket;
    // A copy to a device waits for what is under way there: the gradients mostly all came.
    if (bucket.missing === 0) used.fill_(1);
    else used.copy_(tensorOf(slots.map(({ arrived }) => Number(arrived))));
    bucket.work = begun('all_reduce_', flat, this.#operation, false);
  }

  #reset(): void {
    this.#begun = 0;
    for (const bucket of this.#buckets) {
      bucket.work = null;
      bucket.missing = bucket.slots.length;
      for (const slot of bucket.slots) slot.arrived = false;
    }
  }

  #requireLive(method: string): void {
    if (!this.#disposed) return;
    throw new M3lError('M3L_DISPOSED', `GradientBuckets.${method}: the buckets were disposed of`);
  }
}

/** The parameters of each bucket, from the last one on: a backward comes to them in about that order. */
function divided(parameters: readonly Tensor[], bucketBytes: number): Tensor[][] {
  const open = new Map<string, { members: Tensor[]; bytes: number }>();
  const buckets: Tensor[][] = [];
  for (const parameter of [...parameters].reverse()) {
    const kind = `${parameter.dtype} ${parameter.device}`;
    let bucket = open.get(kind);
    if (bucket === undefined || bucket.bytes + parameter.nbytes > bucketBytes) {
      bucket = { members: [], bytes: 0 };
      open.set(kind, bucket);
      buckets.push(bucket.members);
    }
    bucket.members.push(parameter);
    bucket.bytes += parameter.nbytes;
  }
  return buckets;
}

function bucketOf(members: readonly Tensor[]): Bucket {
  const { dtype, device } = members[0]!;
  const count = members.reduce((sum, parameter) => sum + parameter.numel(), 0);
  const flat = zeros([count + members.length], { dtype: dtype as DType, device });
  let offset = 0;
  const slots = members.map((parameter): Slot => {
    using part = flat.narrow(0, offset, parameter.numel());
    offset += parameter.numel();
    return { parameter, view: part.view(parameter.shape), arrived: false };
  });
  const used = flat.narrow(0, count, members.length);
  return { flat, used, slots, missing: members.length, work: null };
}

/** Of a parameter that the last backward did not reach: what is there from those before, or 0. */
function fillFromParameter(slot: Slot): void {
  const { grad } = slot.parameter;
  if (grad === null) slot.view.zero_();
  else slot.view.copy_(grad);
  slot.arrived = grad !== null;
}

function distribute({ used, slots }: Bucket): void {
  const counts = used.to('float32').toArray() as number[];
  const there: Tensor[] = [];
  const views: Tensor[] = [];
  slots.forEach(({ parameter, view }, i) => {
    if (counts[i] === 0) return;
    const { grad } = parameter;
    if (grad === null) parameter.grad = view.clone();
    else {
      there.push(grad);
      views.push(view);
    }
  });
  if (there.length > 0) ops.aten!._foreach_copy_!(there, views);
}

function requireLeaves(parameters: readonly Tensor[]): void {
  const seen = new Set<Tensor>();
  parameters.forEach((parameter, i) => {
    const found = !parameter.requiresGrad
      ? 'one that requires no gradient'
      : !parameter.isLeaf
        ? 'one that was computed'
        : seen.has(parameter)
          ? 'one that is there already'
          : null;
    seen.add(parameter);
    if (found === null) return;
    throw new ArgumentError(
      `GradientBuckets: found ${found} as parameters[${i}], expected leaves that require a gradient, each once`,
    );
  });
}

function requireAlike(
  parameters: readonly Tensor[],
  group: ProcessGroup,
  bucketBytes: number,
): void {
  const own = [bucketBytes, ...parameters.map(({ dtype, shape }) => `${dtype} [${shape}]`)];
  const all = group.allGatherObject(own) as (string | number)[][];
  const first = all[0]!;
  all.forEach((other, rank) => {
    const place =
      other.length === first.length ? other.findIndex((one, i) => one !== first[i]) : -2;
    if (place === -1) return;
    const [there, here] =
      place === -2
        ? [`${first.length - 1} parameters`, `${other.length - 1}`]
        : place === 0
          ? [`buckets of ${first[0]} bytes`, `of ${other[0]}`]
          : [`${first[place]} as parameters[${place - 1}]`, `${other[place]}`];
    throw new M3lError(
      'M3L_DISTRIBUTED_MISMATCH',
      `GradientBuckets: rank 0 has ${there}, rank ${rank} ${here}: expected the same model in all ranks`,
    );
  });
}
