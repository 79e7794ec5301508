import { ArgumentError, describe } from '../torch/errors.js';
import * as torch from '../torch/index.js';
import { Tensor } from '../torch/index.js';
import type { Module } from './module.js';

/** Gradients, one for each argument or output; null of what is no tensor or requires none. */
export type Gradients = readonly (Tensor | null)[];

/**
 * Called before a module's backward with the gradients of its outputs; those that it returns, if any, take
 * their place.
 */
export type BackwardPreHook = (module: Module, gradOutput: Gradients) => unknown;

/**
 * Called with the gradients of a module's arguments and outputs once both are known; those that it returns,
 * if any, take the place of the arguments'.
 */
export type BackwardHook = (module: Module, gradInput: Gradients, gradOutput: Gradients) => unknown;

/** What a forward passes its arguments and its output through. */
interface Watch {
  inputs(args: readonly unknown[]): unknown[];
  outputs(output: unknown): unknown;
}

/** Null where there are no hooks or no graph. */
export function watchBackward(
  module: Module,
  before: readonly BackwardPreHook[],
  after: readonly BackwardHook[],
): Watch | null {
  if (before.length + after.length === 0 || !torch.isGradEnabled()) return null;
  let count = 0;
  let hasInputs = false;
  // From the backward of the outputs to that of the arguments.
  let kept: Gradients | null = null;

  const release = () => {
    torch.dispose(kept);
    kept = null;
  };
  const callAfter = (given: Gradients, outputs: Gradients): Gradients =>
    after.reduce(
      (gradients, hook) =>
        replaced('registerFullBackwardHook', hook(module, gradients, outputs), gradients),
      given,
    );

  return {
    inputs(args) {
      count = args.length;
      return passed(
        args,
        (given) => {
          // Null where a gradient comes to the arguments by another way than the outputs.
          if (kept === null) return given;
          const found = callAfter(given, kept);
          release();
          return found;
        },
        () => {
          hasInputs = true;
        },
      );
    },
    outputs(output) {
      const isList = Array.isArray(output);
      const list = passed(isList ? output : [output], (given) => {
        const outputs = before.reduce<Gradients>(
          (gradients, hook) =>
            replaced('registerFullBackwardPreHook', hook(module, gradients), gradients),
          given,
        );
        release();
        if (hasInputs) kept = torch.detached(() => outputs.map((each) => each?.alias() ?? null));
        else callAfter(Array<null>(count).fill(null), outputs);
        return outputs;
      });
      return isList ? list : list[0];
    },
  };
}

/** The values, those that require a gradient by way of `backward`; `found`: there are such. */
function passed(
  values: readonly unknown[],
  backward: (gradients: Gradients) => Gradients,
  found: () => void = () => {},
): unknown[] {
  const { length } = values;
  const positions = [...values.keys()].filter((i) => {
    const value = values[i];
    return value instanceof Tensor && value.requiresGrad;
  });
  if (positions.length === 0) return [...values];
  found();
  const through = torch.customFunction<Tensor[], Tensor[]>({
    forward: (_, ...tensors) => tensors,
    backward: (_, ...gradients) => {
      const given = Array<Tensor | null>(length).fill(null);
      for (const [i, position] of positions.entries()) given[position] = gradients[i]!;
      const changed = backward(given);
      return positions.map((position) => changed[position] ?? null);
    },
  });
  const tensors = through(...positions.map((position) => values[position] as Tensor));
  const list = [...values];
  for (const [i, position] of positions.entries()) list[position] = tensors[i];
  return list;
}

/** The gradients that a hook answered, or those that it was given. */
function replaced(where: string, answer: unknown, given: Gradients): Gradients {
  if (answer === undefined || answer === null) return given;
  const list: readonly unknown[] = Array.isArray(answer) ? answer : [answer];
  const fits = list.every((each) => each === null || each instanceof Tensor);
  if (fits && list.length === given.length) return list as Gradients;
  throw new ArgumentError(
    `${where}: the hook returned ${describe(answer)}, expected ${given.length} gradients (tensors or null), or nothing`,
  );
}
