/** Derivatives of functions of tensors, as PyTorch's `torch.autograd.functional`. */
import { enableGrad, grad } from './autograd.js';
import { ArgumentError, describe } from './errors.js';
import { stack } from './generated/functions.js';
import { core } from './native.js';
import { ops } from './ops.js';
import { requireFunction } from './require.js';
import { scope } from './scope.js';
import { Tensor } from './tensor.js';

type OneOrMore = Tensor | readonly Tensor[];

/**
 * All first derivatives of `fn(...inputs)`: for each input the tensor of shape [...output, ...input].
 * Each row is a backward of its own.
 *
 * @param fn gives one tensor
 * @throws M3lError M3L_ARGUMENT
 */
export function jacobian(fn: (...inputs: Tensor[]) => Tensor, inputs: Tensor): Tensor;
export function jacobian(fn: (...inputs: Tensor[]) => Tensor, inputs: readonly Tensor[]): Tensor[];
export function jacobian(
  fn: (...inputs: Tensor[]) => Tensor,
  inputs: OneOrMore,
): Tensor | readonly Tensor[] {
  requireFunction(fn, 'jacobian');
  return scope(() => {
    const leaves = leavesOf(inputs, 'jacobian');
    const output = outputOf(
      enableGrad(() => fn(...leaves)),
      'jacobian',
    );
    return likeInputs(inputs, jacobians(output, leaves, false));
  });
}

/**
 * All second derivatives of `fn(input)`, a tensor of one element: [...input, ...input].
 * @throws M3lError M3L_ARGUMENT
 */
export function hessian(fn: (input: Tensor) => Tensor, input: Tensor): Tensor {
  requireFunction(fn, 'hessian');
  return scope(() => {
    const [leaf] = leavesOf(input, 'hessian');
    const value = outputOf(
      enableGrad(() => fn(leaf!)),
      'hessian',
    );
    if (value.numel() !== 1) {
      throw new ArgumentError(
        `hessian: the function gave shape [${value.shape}], expected one element`,
      );
    }
    const [first] = jacobians(value.reshape([]), [leaf!], true);
    return jacobians(first!, [leaf!], false)[0]!;
  });
}

/**
 * The output and, for each input, vᵀ times its jacobian.
 * @param v of the output's shape; absent: 1, for an output of one element
 * @throws M3lError M3L_ARGUMENT
 */
export function vjp(
  fn: (...inputs: Tensor[]) => Tensor,
  inputs: readonly Tensor[],
  v: Tensor | null = null,
): { output: Tensor; gradients: Tensor[] } {
  requireFunction(fn, 'vjp');
  return scope(() => {
    const leaves = leavesOf(inputs, 'vjp');
    const output = outputOf(
      enableGrad(() => fn(...leaves)),
      'vjp',
    );
    const found = output.requiresGrad
      ? grad(output, leaves, { gradOutputs: v, allowUnused: true })
      : leaves.map(() => null);
    const gradients = found.map((gradient, i) => gradient ?? leaves[i]!.zerosLike());
    return { output: output.detach(), gradients };
  });
}

/**
 * The output and its directional derivative along `tangents`, by forward differentiation: beside the
 * values it computes the derivatives, in one pass and without a graph.
 * @param tangents of the inputs' shapes
 * @throws M3lError M3L_ARGUMENT; M3L_NOT_IMPLEMENTED for an operator that has no such formula
 */
export function jvp(
  fn: (...inputs: Tensor[]) => Tensor,
  inputs: readonly Tensor[],
  tangents: readonly Tensor[],
): { output: Tensor; tangent: Tensor } {
  requireFunction(fn, 'jvp');
  const given = listOf(inputs, 'jvp');
  const along = listOf(tangents, 'jvp');
  if (given.length !== along.length) {
    throw new ArgumentError(
      `jvp: found ${along.length} tangents for ${given.length} inputs, expected one for each`,
    );
  }
  return scope(() => {
    const level = core.enterDualLevel();
    try {
      const duals = given.map((x, i) => {
        const primal = x.detach();
        return ops.aten!._make_dual!(primal, along[i]!, level) as Tensor;
      });
      const output = outputOf(fn(...duals), 'jvp');
      const [primal, tangent] = ops.aten!._unpack_dual!(output, level) as [Tensor, Tensor | null];
      // Copies, which keep nothing of a level that ends.
      return {
        output: primal.clone(),
        tangent: tangent === null ? primal.zerosLike() : tangent.clone(),
      };
    } finally {
      core.exitDualLevel(level);
    }
  });
}

/** For each leaf [...output, ...leaf]; with `createGraph` to be differentiated again. */
export function jacobians(
  output: Tensor,
  leaves: readonly Tensor[],
  createGraph: boolean,
): Tensor[] {
  const flat = output.reshape([-1]);
  const rows = Array.from({ length: flat.numel() }, (_, i) =>
    output.requiresGrad
      ? grad(flat.select(0, i), leaves, { retainGraph: true, createGraph, allowUnused: true })
      : leaves.map(() => null),
  );
  return leaves.map((leaf, j) => {
    const shape = [...output.shape, ...leaf.shape];
    if (rows.length === 0) return leaf.newZeros(shape);
    const filled = rows.map((row) => row[j] ?? leaf.zerosLike());
    return stack(filled).reshape(shape);
  });
}

/** Leaves with the inputs' values, that ask for gradients. */
function leavesOf(inputs: OneOrMore, name: string): Tensor[] {
  return listOf(inputs, name).map((x) => {
    const leaf = x.detach();
    leaf.requiresGrad = true;
    return leaf;
  });
}

function listOf(inputs: OneOrMore, name: string): Tensor[] {
  const list: readonly unknown[] = Array.isArray(inputs) ? inputs : [inputs];
  for (const x of list) {
    if (!(x instanceof Tensor)) {
      throw new ArgumentError(`${name}: found ${describe(x)}, expected a Tensor`);
    }
  }
  return list as Tensor[];
}

function outputOf(output: unknown, name: string): Tensor {
  if (output instanceof Tensor) return output;
  throw new ArgumentError(`${name}: the function gave ${describe(output)}, expected one Tensor`);
}

function likeInputs(inputs: OneOrMore, found: Tensor[]): OneOrMore {
  return Array.isArray(inputs) ? found : found[0]!;
}
