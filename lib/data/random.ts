/**
 * Seeded randomness that does not depend on the order of work.
 *
 * Every sample of every epoch gets its own stream, addressed by a key such as
 * `(seed, epoch, position)`. So the numbers are the same whichever worker draws them, in
 * whichever order, and a resumed run needs no replay of the draws before it.
 */
import { checkArguments } from '../torch/check-arguments.js';
import * as is from '../torch/rules.js';

/** The murmur3 finaliser: a bijection of 32-bit words in which each input bit moves every output bit. */
export function mix32(word: number): number {
  let h = word | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** What a stream is drawn for; part of its key, so that two purposes never share their numbers. */
export const Stream = {
  augmentation: 1,
  order: 2,
  roomLayout: 3,
  roomPicture: 4,
  roomSensor: 5,
  roomColours: 6,
  jitter: 7,
  masks: 8,
  teacherMasks: 9,
  cutMix: 10,
  roomNormals: 11,
  roomThermal: 12,
  roomVariety: 13,
} as const;

/**
 * A stream of random numbers, fixed by its key (any number of integers below 2^53).
 * The key is hashed into the state of Chris Doty-Humphrey's sfc32 generator (PractRand).
 */
export class Random {
  private a = 0x9e3779b9;
  private b = 0x243f6a88;
  private c = 0xb7e15162;
  private counter = 1;

  constructor(...key: readonly number[]) {
    checkArguments('Random', { key }, { key: is.listOf(is.finite) });
    for (const part of key) {
      const low = part | 0;
      const high = Math.floor(part / 0x1_0000_0000) | 0;
      this.a = mix32(this.a ^ low);
      this.b = mix32(this.b + this.a + high);
      this.c = mix32(this.c ^ Math.imul(this.b, 0x9e3779b1));
    }
    for (let i = 0; i < 12; i++) this.uint32();
  }

  /** An integer in [0, 2^32). */
  uint32(): number {
    const sum = (((this.a + this.b) | 0) + this.counter) | 0;
    this.counter = (this.counter + 1) | 0;
    this.a = this.b ^ (this.b >>> 9);
    this.b = (this.c + (this.c << 3)) | 0;
    this.c = (((this.c << 21) | (this.c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }

  /** A number in [0, 1), or in [low, high). */
  uniform(low = 0, high = 1): number {
    return low + (high - low) * (this.uint32() / 0x1_0000_0000);
  }

  /** An integer in [0, bound), unbiased to within 2^-32 · bound. */
  integer(bound: number): number {
    return Math.floor((this.uint32() / 0x1_0000_0000) * bound);
  }

  /** True with the given probability. */
  chance(probability: number): boolean {
    return this.uint32() / 0x1_0000_0000 < probability;
  }

  /** One of the items, each equally likely. */
  pick<T>(items: readonly T[]): T {
    return items[this.integer(items.length)]!;
  }

  /** A standard normal number (Box–Muller; the second of the pair is not kept). */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    return radius * Math.cos(2 * Math.PI * this.uniform());
  }

  /** Fisher–Yates, in place. */
  shuffle<T extends Uint32Array | unknown[]>(items: T): T {
    for (let i = items.length - 1; i > 0; i--) {
      const j = this.integer(i + 1);
      const kept = items[i];
      items[i] = items[j] as never;
      items[j] = kept as never;
    }
    return items;
  }
}

/**
 * One 32-bit seed from several numbers (a run's seed, an iteration, a rank, …).
 * Every random draw of a training step starts from such a seed, so that step t of a run draws the
 * same whether it was reached in one go or after a resume.
 */
export function mixSeed(...values: number[]): number {
  checkArguments('mixSeed', { values }, { values: is.listOf(is.finite) });
  let hash = 0x9e3779b9;
  for (const value of values) {
    // Both halves of the integer, so that seeds above 2^32 stay distinct.
    for (const word of [value >>> 0, Math.floor(value / 2 ** 32) >>> 0]) {
      hash = Math.imul(hash ^ word, 0x85ebca6b);
      hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
      hash ^= hash >>> 16;
    }
  }
  return hash >>> 0;
}
