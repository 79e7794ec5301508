import { checkArguments } from '../torch/check-arguments.js';
import * as is from '../torch/rules.js';
import { LearningError } from './errors.js';

/** How classes are weighed by how many labelled pixels they have: f is the share of these. */
export const CLASS_WEIGHTINGS = [
  'inverse-frequency',
  'inverse-square-root',
  'inverse-logarithm',
] as const;

/** A rule by which classes are weighted. */
export type ClassWeighting = (typeof CLASS_WEIGHTINGS)[number];

/** Of ENet (Paszke et al. 2016): the weight of a class that is everywhere is then 1 / ln 2.02. */
const ENET = 1.02;

const RULES: Readonly<Record<ClassWeighting, (share: number) => number>> = {
  'inverse-frequency': (share) => 1 / share,
  'inverse-square-root': (share) => 1 / Math.sqrt(share),
  'inverse-logarithm': (share) => 1 / Math.log(ENET + share),
};

/**
 * The weight of each class from its number of labelled pixels, the mean of those that occur 1; 1 for a
 * class that does not. Four digits, as they are written down.
 */
export function classWeightsOf(pixels: readonly number[], weighting: ClassWeighting): number[] {
  checkArguments(
    'classWeightsOf',
    { pixels, weighting },
    { pixels: is.listOf(is.notNegative), weighting: is.oneOf(...CLASS_WEIGHTINGS) },
  );

  const total = pixels.reduce((sum, count) => sum + count, 0);
  const raw = pixels.map((count) => (count === 0 ? 0 : RULES[weighting](count / total)));
  const present = raw.filter((weight) => weight > 0);
  const mean = present.reduce((sum, weight) => sum + weight, 0) / present.length;
  return raw.map((weight) => (weight === 0 ? 1 : Number((weight / mean).toPrecision(4))));
}

/**
 * Makes sure of weights of classes.
 * @throws LearningError M3L_CLASS_WEIGHTS where they are not one for each class, or all 0
 */
export function checkClassWeights(
  weights: readonly number[] | ClassWeighting | null,
  numClasses: number,
): void {
  checkArguments(
    'checkClassWeights',
    { weights, numClasses },
    { weights: is.orNull(is.either(is.list, is.text)), numClasses: is.size },
  );

  if (weights === null) return;
  const fail = (found: string): never => {
    throw new LearningError(
      'M3L_CLASS_WEIGHTS',
      `classWeights: found ${found}, expected ${numClasses} numbers of 0 or more, one for each class, ` +
        'not all 0.',
    );
  };
  if (typeof weights === 'string') fail(`'${weights}', whose pixels are not counted yet`);
  else if (weights.length !== numClasses) fail(`${weights.length} of them`);
  else if (!weights.every((weight) => weight >= 0 && weight < Infinity) || !weights.some(Boolean)) {
    fail(`[${weights.join(', ')}]`);
  }
}
