import { M3lError } from '../torch/errors.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { type Role, register } from './parameter.js';

/** Parameters and buffers by the names that PyTorch gives them. */
export type StateDict = Record<string, Tensor>;

/** Names that loading a state found on one side alone. */
export interface LoadResult {
  missing: string[];
  unexpected: string[];
}

/** A state dict that does not fit its module: names or shapes differ. Code `M3L_STATE_DICT`. */
export class StateDictError extends M3lError {
  constructor(message: string) {
    super('M3L_STATE_DICT', message);
  }
}

/**
 * What of the state `own` a state dict lacks, and what it has too much.
 *
 * @throws {StateDictError} where shapes differ, or with `strict` names
 */
export function requireFit(
  own: ReadonlyMap<string, Tensor>,
  dict: StateDict,
  strict: boolean,
  where: string,
): LoadResult {
  const absent = [...own.keys()].filter((name) => !Object.hasOwn(dict, name));
  const missing = absent.filter((name) => !isOptional(name));
  const unexpected = Object.keys(dict).filter((name) => !own.has(name));
  const problems: string[] = [];
  if (strict && missing.length > 0) problems.push(`missing: ${listed(missing)}`);
  if (strict && unexpected.length > 0) problems.push(`unexpected: ${listed(unexpected)}`);
  for (const [name, tensor] of own) {
    const found = Object.hasOwn(dict, name) ? dict[name]?.shape : undefined;
    if (found && found.join() !== tensor.shape.join()) {
      problems.push(`${name} has shape [${found}], expected [${tensor.shape}]`);
    }
  }
  if (problems.length === 0) return { missing, unexpected };
  throw new StateDictError(
    `State dict does not fit ${where}: ${problems.slice(0, 8).join('; ')}` +
      `${problems.length > 8 ? `; and ${problems.length - 8} more` : ''}. ` +
      'Build the model with the options the checkpoint was saved with (backbone, classes, ' +
      'modalities, mask token), convert foreign checkpoints with an adapter of m3l/models, ' +
      'or pass { strict: false } to accept missing and unexpected names.',
  );
}

/** Counters that PyTorch added later: state dicts of before lack them, and load all the same. */
function isOptional(name: string): boolean {
  return /(^|\.)num_batches_tracked$/.test(name);
}

function listed(names: string[]): string {
  const shown = names.slice(0, 5).join(', ');
  return names.length > 5 ? `${shown} and ${names.length - 5} more` : shown;
}

/** Where a tensor of a module's state is. */
export interface Place {
  name: string;
  tensor: Tensor;
  role: Role;
  replace: (tensor: Tensor) => void;
}

/** Copies what of a state is given. */
export function copyState(own: ReadonlyMap<string, Tensor>, given: StateDict): void {
  torch.noGrad(() => {
    for (const [name, tensor] of own) {
      const value = given[name];
      if (value) tensor.copy_(value);
    }
  });
}

/** What several places share they share afterwards, by the first of its names that is given. */
export function assignState(places: readonly Place[], given: StateDict): void {
  const taken = new Map<Tensor, Tensor>();
  for (const { name, tensor, role } of places) {
    const value = Object.hasOwn(given, name) && role !== 'scratch' ? given[name] : undefined;
    if (!value || taken.has(tensor)) continue;
    taken.set(tensor, register(role, value).requiresGrad_(tensor.requiresGrad));
  }
  for (const { tensor, replace } of places) {
    const value = taken.get(tensor);
    if (value) replace(value);
  }
  for (const tensor of taken.keys()) tensor.dispose();
}
