import { Random, Stream } from '../data/index.js';
import { checkArguments } from '../torch/check-arguments.js';
import * as is from '../torch/rules.js';
import { LearningError } from './errors.js';

/**
 * Which modality each of `count` samples loses at `iteration`: its index, or −1 for none.
 * A plain function, so that a test or a replay can put its own in place.
 */
export type MaskDraw = (iteration: number, count: number) => number[];

/**
 * Draws from {0, …, modalities − 1, none}, as M3L masks (m3l.md section 5): uniform, or in proportion
 * to the `weights` of these in this order. The draw depends on nothing but seed, iteration and stream: a
 * resumed run repeats it, and so do processes that share a batch, each of which takes what its samples'
 * places have.
 */
export function seededMasks(options: {
  modalities: number;
  seed: number;
  weights?: readonly number[];
  /** Whose samples (`Stream.masks`): draws of different streams are independent. */
  stream?: number;
}): MaskDraw {
  checkArguments(
    'seededMasks',
    { options },
    { options: is.shape('options', { modalities: is.finite, seed: is.finite }) },
  );

  const { modalities, seed, weights, stream = Stream.masks } = options;
  const upTo: number[] = [];
  for (let m = 0; m <= modalities; m++) upTo.push((upTo[m - 1] ?? 0) + (weights?.[m] ?? 1));
  return (iteration, count) => {
    const random = new Random(stream, seed, 0, iteration);
    return Array.from({ length: count }, () => {
      const at = random.uniform() * upTo[modalities]!;
      const drawn = upTo.findIndex((limit) => at < limit);
      return drawn === modalities ? -1 : drawn;
    });
  };
}

/**
 * The weights of `seededMasks` from those given by name ("none" beside the modalities'); 1 where not
 * given.
 * @throws LearningError M3L_MASK_WEIGHTS
 */
export function maskWeights(
  given: Readonly<Record<string, number>>,
  modalities: readonly string[],
): number[] {
  checkArguments(
    'maskWeights',
    { given, modalities },
    { given: is.recordOf(is.finite), modalities: is.listOf(is.text) },
  );

  const names = [...modalities, 'none'];
  const unknown = Object.keys(given).find((name) => !names.includes(name));
  if (unknown !== undefined) {
    throw new LearningError(
      'M3L_MASK_WEIGHTS',
      `found '${unknown}' in maskWeights, expected ${names.join(', ')}.`,
    );
  }
  const weights = names.map((name) => given[name] ?? 1);
  const bad = names.find((_, i) => !(weights[i]! >= 0 && weights[i]! < Infinity));
  if (bad !== undefined || !weights.some((weight) => weight > 0)) {
    throw new LearningError(
      'M3L_MASK_WEIGHTS',
      `found ${JSON.stringify(given)} as maskWeights, expected numbers of 0 or more, not all 0.`,
    );
  }
  return weights;
}

/** `count` samples that keep all their modalities. */
export function unmasked(count: number): number[] {
  checkArguments('unmasked', { count }, { count: is.size });

  return new Array<number>(count).fill(-1);
}
