/** Nested fractions of a list: each smaller one lies within each greater one. */

import { Random, Stream } from '../random.js';

/**
 * The order in which samples get their labels: seeded. The first n of it are the n that a fraction
 * has, so that fractions are nested.
 * @param present the classes that each sample holds, to stratify by: at any length, every class has
 *   been met in about the same share of the samples that hold it, so that rare classes come early
 */
export function labelOrder(
  count: number,
  seed: number,
  present?: readonly ReadonlySet<number>[],
): number[] {
  const drawn = new Random(Stream.order, seed).shuffle(Array.from({ length: count }, (_, i) => i));
  return present === undefined ? drawn : stratified(drawn, present);
}

function stratified(drawn: readonly number[], present: readonly ReadonlySet<number>[]): number[] {
  // Samples of no class are a class of their own.
  const NONE = -1;
  const classesOf = (sample: number): Iterable<number> => {
    const classes = present[sample]!;
    return classes.size > 0 ? classes : [NONE];
  };
  const queues = new Map<number, number[]>();
  for (const sample of drawn) {
    for (const one of classesOf(sample)) {
      const queue = queues.get(one) ?? [];
      queues.set(one, queue);
      queue.push(sample);
    }
  }
  const classes = [...queues]
    .map(([name, queue]) => ({ name, queue, next: 0, met: 0 }))
    .sort((a, b) => a.queue.length - b.queue.length || a.name - b.name);
  const byName = new Map(classes.map((one) => [one.name, one]));
  const taken = new Set<number>();
  const order: number[] = [];
  while (order.length < drawn.length) {
    // The class that lags behind most; of several the rarest.
    let least: (typeof classes)[number] | null = null;
    for (const one of classes) {
      if (one.met === one.queue.length) continue;
      if (least === null || one.met / one.queue.length < least.met / least.queue.length)
        least = one;
    }
    const { queue } = least!;
    while (taken.has(queue[least!.next]!)) least!.next++;
    const sample = queue[least!.next]!;
    taken.add(sample);
    order.push(sample);
    for (const one of classesOf(sample)) byName.get(one)!.met++;
  }
  return order;
}

/** How many samples one in `denominator` is: rounded down, as in the paper, and at least one. */
export function fractionSize(count: number, denominator: number): number {
  return Math.max(1, Math.floor(count / denominator));
}
