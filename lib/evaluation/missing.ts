import type { ModalitySpec } from '../data/index.js';
import { checkArguments } from '../torch/check-arguments.js';
import { ArgumentError } from '../torch/errors.js';
import * as is from '../torch/rules.js';
import { EvaluationError } from './errors.js';

/**
 * Which sets of missing modalities to evaluate: `each`: none, and each one by itself (robust mIoU);
 * `subsets`: every set that leaves at least one; or the sets themselves, as indices.
 */
export type MissingProtocol = 'each' | 'subsets' | readonly (readonly number[])[];

/** Of more the sets would be too many. */
const MOST_MODALITIES = { each: 1024, subsets: 16 };

/** The sets of a protocol, nothing missing first. */
export function missingSets(protocol: MissingProtocol, modalities: number): number[][] {
  checkArguments(
    'missingSets',
    { protocol, modalities },
    {
      protocol: is.either(is.listOf(is.listOf(is.finite)), is.oneOf('each', 'subsets')),
      modalities: is.size,
    },
  );

  if (typeof protocol !== 'string') {
    for (const missing of protocol) checkMissing(missing, modalities);
    return protocol.map((missing) => [...new Set(missing)].sort((a, b) => a - b));
  }
  const most = MOST_MODALITIES[protocol];
  if (!(modalities <= most)) {
    throw new ArgumentError(
      `missingSets: found ${modalities} modalities, expected at most ${most} of '${protocol}'`,
    );
  }
  const all = Array.from({ length: modalities }, (_, index) => index);
  if (protocol === 'each') return [[], ...(modalities > 1 ? all.map((index) => [index]) : [])];
  const sets = Array.from({ length: 2 ** modalities }, (_, bits) =>
    all.filter((index) => Math.floor(bits / 2 ** index) % 2 === 1),
  );
  return sets.filter((missing) => missing.length < modalities).sort((a, b) => a.length - b.length);
}

/** `all`, `rgb missing`, `rgb + depth missing`. */
export function missingName(missing: readonly number[], specs: readonly ModalitySpec[]): string {
  if (missing.length === 0) return 'all';
  return `${missing.map((index) => specs[index]!.name).join(' + ')} missing`;
}

export function checkMissing(missing: readonly number[], modalities: number): void {
  const foreign = missing.find((i) => !Number.isInteger(i) || i < 0 || i >= modalities);
  if (foreign !== undefined) {
    throw new EvaluationError(
      'M3L_MISSING_MODALITY',
      `modality ${foreign} is said to be missing: expected an index from 0 to ${modalities - 1}.`,
    );
  }
  if (new Set(missing).size === modalities) {
    throw new EvaluationError(
      'M3L_MISSING_MODALITY',
      `all ${modalities} modalities are said to be missing: expected at least one to be there.`,
    );
  }
}
