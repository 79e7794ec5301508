import { mixSeed, uniformStream } from './seed.js';

/**
 * Which modality each of `count` samples loses at `iteration`: its index, or −1 for none.
 * A plain function, so that a test or a replay can put its own in place.
 */
export type MaskDraw = (iteration: number, count: number) => number[];

/**
 * Uniform draws from {0, …, modalities − 1, none}, as M3L masks (m3l.md section 5).
 * The draw depends on nothing but seed, rank and iteration: a resumed run repeats it, and each rank
 * draws its own.
 */
export function seededMasks(options: {
  modalities: number;
  seed: number;
  rank?: number;
}): MaskDraw {
  const { modalities, seed, rank = 0 } = options;
  return (iteration, count) => {
    const uniform = uniformStream(mixSeed(seed, rank, iteration, 0x6d61736b));
    return Array.from({ length: count }, () => {
      const drawn = Math.floor(uniform() * (modalities + 1));
      return drawn === modalities ? -1 : drawn;
    });
  };
}

/** `count` samples that keep all their modalities. */
export function unmasked(count: number): number[] {
  return new Array<number>(count).fill(-1);
}
