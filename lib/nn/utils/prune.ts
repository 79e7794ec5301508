/** Weights that are zero for good: masks on parameters. */
import { ArgumentError, describe } from '../../torch/errors.js';
import * as torch from '../../torch/index.js';
import { Tensor } from '../../torch/index.js';
import { requireIterable, requireText, withDefaults } from '../../torch/require.js';
import { requireNumbers, requireTensor } from '../check.js';
import { type Module, requireModule } from '../module.js';
import { buffer } from '../parameter.js';
import { assign, compute, fieldsOf, restore, stateAt } from './computed.js';
import { parametersToVector } from './parameters.js';

export interface PruneOptions {
  /** What is pruned where it is least, of the tensor's shape, in the place of its values; null: those. */
  importanceScores: Tensor | null;
}
const PRUNE: PruneOptions = { importanceScores: null };

/** A mask of ones and zeros from the scores of what is not pruned yet. */
interface Method {
  /** Elements by themselves, one after another, or whole slices along a dimension. */
  of: 'elements' | { dim: number };
  mask(scores: Tensor): Tensor;
}

/** The tensors of a module that have masks. */
const masked = new WeakMap<Module, Set<string>>();

/** Gives a tensor a mask that prunes nothing. @returns the module */
export function identity<M extends Module>(module: M, name: string): M {
  return pruned('identity', module, name, () => null);
}

/** Prunes as many elements, chosen by chance; see {@link l1Unstructured}. */
export function randomUnstructured<M extends Module>(module: M, name: string, amount: number): M {
  return pruned('randomUnstructured', module, name, () => randomElements(amount));
}

/**
 * Prunes the elements that are least in absolute value.
 *
 * From then on the tensor is computed at each access: the parameter, now `NAMEOrig`, times the buffer
 * `NAMEMask`, in state dicts `NAME_orig` and `NAME_mask`. What is pruned already stays so, and an amount is
 * one of the rest.
 *
 * @param amount how many: an integer from 1 on, or a share below 1
 * @returns the module
 * @throws ArgumentError for a tensor that there is not, or more than there is to prune
 */
export function l1Unstructured<M extends Module>(
  module: M,
  name: string,
  amount: number,
  options: Partial<PruneOptions> = {},
): M {
  return pruned('l1Unstructured', module, name, () => leastElements(amount), options);
}

/** Prunes as many slices along a dimension, chosen by chance; see {@link l1Unstructured}. */
export function randomStructured<M extends Module>(
  module: M,
  name: string,
  amount: number,
  dim: number,
): M {
  const where = 'randomStructured';
  return pruned(where, module, name, (tensor) => {
    const along = dimOf(where, tensor, dim);
    return {
      of: { dim: along },
      mask(scores) {
        const { device } = scores;
        const chances = torch.rand([scores.shape[along]!]);
        const count = countOf(where, amount, chances.numel());
        if (count === 0) return scores.onesLike();
        const { values: most } = torch.kthvalue(chances, count);
        return slices(scores, along, chances.gt(most).nonzero().flatten().to(device));
      },
    };
  });
}

/**
 * Prunes the slices along a dimension whose norm is least.
 * @param n of the norm: 2, 1, Infinity, …
 */
export function lnStructured<M extends Module>(
  module: M,
  name: string,
  amount: number,
  n: number,
  dim: number,
  options: Partial<PruneOptions> = {},
): M {
  const where = 'lnStructured';
  const method = (tensor: Tensor): Method => {
    const along = dimOf(where, tensor, dim);
    if (typeof n !== 'number') requireNumbers(where, { n });
    return {
      of: { dim: along },
      mask(scores) {
        const size = scores.shape[along]!;
        const count = countOf(where, amount, size);
        const others = [...scores.shape.keys()].filter((each) => each !== along);
        const norms = torch.linalg.vectorNorm(scores, n, others);
        return slices(scores, along, torch.topk(norms, size - count).indices);
      },
    };
  };
  return pruned(where, module, name, method, options);
}

/** Prunes where a mask of the tensor's shape is zero. */
export function customFromMask<M extends Module>(module: M, name: string, mask: Tensor): M {
  const where = 'customFromMask';
  requireTensor(where, mask);
  return pruned(where, module, name, (tensor) => {
    requireShape(where, mask, tensor);
    return mask.to({ dtype: tensor.dtype, device: tensor.device });
  });
}

/**
 * Prunes several tensors as if they were one.
 *
 * @param parameters a module, the name of a property, and what to go by in the place of its values
 * @param method the least in absolute value, or by chance
 * @param amount of all of them together; as for {@link l1Unstructured}
 */
export function globalUnstructured(
  parameters: Iterable<readonly [module: Module, name: string, importanceScores?: Tensor]>,
  method: 'l1' | 'random',
  amount: number,
): void {
  const where = 'globalUnstructured';
  requireIterable(parameters, where);
  const list = [...parameters];
  if (list.length === 0 || (method !== 'l1' && method !== 'random')) {
    throw new ArgumentError(
      `${where}: found ${list.length} parameters and ${describe(method)}, expected some and 'l1' or 'random'`,
    );
  }
  torch.scope(() =>
    torch.noGrad(() => {
      const tensors = list.map(([module, name]) => valueAt(where, module, name));
      for (const [i, [, , scores]] of list.entries()) {
        if (scores) requireShape(where, scores, tensors[i]!);
      }
      const scores = parametersToVector(tensors.map((tensor, i) => list[i]![2] ?? tensor));
      const masks = list.map(([module, name], i) => maskOf(module, name) ?? tensors[i]!.onesLike());
      const chosen = method === 'l1' ? leastElements(amount) : randomElements(amount);
      const all = combined(chosen, scores, parametersToVector(masks));
      const parts = all.split(tensors.map((tensor) => tensor.numel()));
      for (const [i, [module, name]] of list.entries()) {
        customFromMask(module, name, parts[i]!.reshape(tensors[i]!.shape));
      }
    }),
  );
}

/** Makes a pruned tensor an ordinary one again, with zeros where it was pruned. @returns the module */
export function remove<M extends Module>(module: M, name: string): M {
  requireModule(module, 'prune.remove');
  requireText(name, 'prune.remove', 'the name of a property');
  const mask = maskOf(module, name);
  if (mask === undefined) {
    throw new ArgumentError(
      `prune.remove: found no mask of '${name}' of ${module.constructor.name}, expected a pruned tensor`,
    );
  }
  const fields = fieldsOf(module);
  const original = fields[`${name}Orig`] as Tensor;
  torch.scope(() => torch.noGrad(() => assign(original, fields[name] as Tensor)));
  masked.get(module)?.delete(name);
  delete fields[`${name}Orig`];
  delete fields[`${name}Mask`];
  mask.dispose();
  restore(module, name, original);
  return module;
}

/** Whether a tensor of the module or of one below is pruned. */
export function isPruned(module: Module): boolean {
  requireModule(module, 'isPruned');
  return module.modules().some((each) => (masked.get(each)?.size ?? 0) > 0);
}

/** @param method by the tensor's value now: how to prune it, a mask ready-made, or null for none */
function pruned<M extends Module>(
  where: string,
  module: M,
  name: string,
  method: (tensor: Tensor) => Method | Tensor | null,
  options: Partial<PruneOptions> = {},
): M {
  const { importanceScores } = withDefaults(where, PRUNE, options);
  torch.scope(() =>
    torch.noGrad(() => {
      const tensor = valueAt(where, module, name);
      if (importanceScores !== null) requireShape(where, importanceScores, tensor);
      const known = maskOf(module, name);
      const before = known ?? tensor.onesLike();
      const how = method(tensor);
      const after =
        how instanceof Tensor
          ? before.mul(how)
          : how === null
            ? before
            : combined(how, importanceScores ?? tensor, before);
      if (known) known.copy_(after);
      else addMask(module, name, tensor, after);
    }),
  );
  return module;
}

function addMask(module: Module, name: string, original: Tensor, values: Tensor): void {
  const fields = fieldsOf(module);
  const of = { original: `${name}Orig`, mask: `${name}Mask` };
  fields[of.original] = original;
  fields[of.mask] = buffer(() => values.clone());
  const names = masked.get(module) ?? new Set();
  masked.set(module, names.add(name));
  compute(module, name, () => (fields[of.original] as Tensor).mul(fields[of.mask] as Tensor));
}

function maskOf(module: Module, name: string): Tensor | undefined {
  if (!masked.get(module)?.has(name)) return undefined;
  return fieldsOf(module)[`${name}Mask`] as Tensor;
}

/** The tensor now, pruned or not. */
function valueAt(where: string, module: Module, name: string): Tensor {
  requireModule(module, where);
  return maskOf(module, name) ? (fieldsOf(module)[name] as Tensor) : stateAt(where, module, name);
}

/** The mask after a method was applied to what `before` leaves. */
function combined({ of, mask }: Method, scores: Tensor, before: Tensor): Tensor {
  const after = before.clone();
  if (of === 'elements') {
    const left = before.flatten().nonzero().flatten();
    const part = mask(scores.flatten().indexSelect(0, left));
    return after.flatten().indexCopy(0, left, part).reshape(before.shape);
  }
  const others = [...before.shape.keys()].filter((each) => each !== of.dim);
  const left = before.sum(others).nonzero().flatten();
  const part = mask(scores.indexSelect(of.dim, left));
  return after.indexCopy(of.dim, left, part.mul(before.indexSelect(of.dim, left)));
}

function leastElements(amount: number): Method {
  return {
    of: 'elements',
    mask(scores) {
      const count = countOf('l1Unstructured', amount, scores.numel());
      const { indices } = torch.topk(scores.abs(), count, { largest: false });
      return scores.onesLike().indexFill_(0, indices, 0);
    },
  };
}

function randomElements(amount: number): Method {
  return {
    of: 'elements',
    mask(scores) {
      const count = countOf('randomUnstructured', amount, scores.numel());
      const { indices } = torch.topk(scores.randLike(), count);
      return scores.onesLike().indexFill_(0, indices, 0);
    },
  };
}

/** Ones in the slices of the indices, zeros in the others. */
function slices(like: Tensor, dim: number, indices: Tensor): Tensor {
  return like.zerosLike().indexFill_(dim, indices, 1);
}

/** How many of `size` an amount is; shares are rounded, halves to the even number, as PyTorch does. */
function countOf(where: string, amount: number, size: number): number {
  const isShare = typeof amount === 'number' && amount >= 0 && amount < 1;
  if (!isShare && !(Number.isInteger(amount) && amount <= size && amount >= 0)) {
    throw new ArgumentError(
      `${where}: found ${describe(amount)} to prune, expected an integer to ${size}, as many as are left, or a share below 1`,
    );
  }
  if (!isShare) return amount;
  const exact = amount * size;
  const below = Math.floor(exact);
  return exact - below === 0.5 ? below + (below % 2) : Math.round(exact);
}

function dimOf(where: string, tensor: Tensor, dim: number): number {
  const { ndim } = tensor;
  if (ndim > 1 && Number.isInteger(dim) && dim >= -ndim && dim < ndim) {
    return dim < 0 ? dim + ndim : dim;
  }
  throw new ArgumentError(
    `${where}: found ${describe(dim)} as a dimension of shape [${tensor.shape}], expected one of several`,
  );
}

function requireShape(where: string, value: Tensor, tensor: Tensor): void {
  requireTensor(where, value);
  if (value.shape.join() === tensor.shape.join()) return;
  throw new ArgumentError(
    `${where}: found shape [${value.shape}], expected that of the tensor, [${tensor.shape}]`,
  );
}
