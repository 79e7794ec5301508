import { describe } from '../torch/errors.js';
import * as torch from '../torch/index.js';
import { OptimizerError } from './state.js';

/** Hyper-parameters are settable between steps. `initialLr` is what schedules multiply. */
export type Group<Options> = Options & {
  readonly params: readonly torch.Tensor[];
  readonly name?: string;
  lr: number;
  initialLr: number;
};

/** A list of parameters, or groups of them with options of their own. */
export type ParameterGroups<Options> =
  | Iterable<torch.Tensor>
  | Iterable<Partial<Options> & { params: Iterable<torch.Tensor>; name?: string }>;

/** @throws {OptimizerError} for what is no list of parameters and no list of groups */
export function asGroups<Options>(groups: ParameterGroups<Options>): GivenGroup[] {
  const list = listOf(groups);
  if (list.length === 0) return [];
  if (list.some((item) => item instanceof torch.Tensor))
    return [{ params: list as torch.Tensor[] }];
  return list.map((group) => {
    const { params, ...options } = (group ?? {}) as { params?: unknown };
    return { ...options, params: listOf(params) as torch.Tensor[] };
  });
}

function listOf(value: unknown): unknown[] {
  const iterable = typeof value === 'object' && value !== null && Symbol.iterator in value;
  if (iterable && !(value instanceof torch.Tensor)) return [...(value as Iterable<unknown>)];
  throw new OptimizerError(
    `found ${describe(value)} for parameters, expected a list of them, model.parameters() for one, or groups { params, lr, … }`,
  );
}

/** Only a leaf is a parameter: what an operator gave has no gradient of its own. */
export function checkParameter(tensor: unknown): void {
  if (!(tensor instanceof torch.Tensor)) {
    throw new OptimizerError(`found ${describe(tensor)} among the parameters, expected tensors`);
  }
  if (tensor.isLeaf) return;
  throw new OptimizerError(
    `found a parameter of shape [${tensor.shape}] that an operator made (it is no leaf), expected one that gradients gather in: x.detach().requiresGrad_()`,
  );
}

/** A group as it was given, its parameters not yet looked at. */
export interface GivenGroup {
  params: readonly torch.Tensor[];
  name?: string;
}
