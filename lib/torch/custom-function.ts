import { refresh } from './context.js';
import { ArgumentError, describe } from './errors.js';
import { core, type Handle } from './native.js';
import { requireFunction, requireObject } from './require.js';
import { scope } from './scope.js';
import { handleOf, Tensor, wrap, wrapOptional } from './tensor.js';

/** What one call of a custom function shares between its forward and its backward. */
export interface FunctionContext {
  /**
   * Keeps inputs and outputs (and others) for the backward, where `savedTensors` has them. In forward
   * only, once. Autograd then notices where one was overwritten meanwhile.
   */
  saveForBackward(...tensors: Tensor[]): void;
  /** In backward: what forward saved. They live as long as the call of backward. */
  readonly savedTensors: readonly Tensor[];
  /** Of forward's outputs: those that have no gradient, such as indices. */
  markNonDifferentiable(...outputs: Tensor[]): void;
}

/** See {@link customFunction}. */
export interface CustomFunction<Args extends readonly unknown[], Output> {
  /** Computes the outputs. It runs without recording; what it makes beside them is released. */
  forward(context: FunctionContext, ...args: Args): Output;
  /**
   * The gradients of the arguments, one for each, null for those that have none (or one tensor, for a
   * function of one argument), from those of the outputs: zeros for an output that was not used.
   */
  backward(
    context: FunctionContext,
    ...gradients: Tensor[]
  ): Tensor | null | readonly (Tensor | null)[];
}

/**
 * An operator whose gradient is written here, as PyTorch's `autograd.Function`.
 *
 * @example
 * const cube = torch.customFunction({
 *   forward(context, x: Tensor) {
 *     context.saveForBackward(x);
 *     return x.pow(3);
 *   },
 *   backward(context, gradient) {
 *     const [x] = context.savedTensors;
 *     return gradient.mul(x!.square()).mul(3);
 *   },
 * });
 * cube(x).sum().backward();
 */
export function customFunction<
  Args extends readonly unknown[],
  Output extends Tensor | readonly Tensor[],
>(definition: CustomFunction<Args, Output>): (...args: Args) => Output {
  requireObject(definition, 'customFunction', 'an object with forward and backward');
  requireFunction(definition.forward, 'customFunction: forward');
  requireFunction(definition.backward, 'customFunction: backward');
  return (...args) => apply(definition, args);
}

class Context implements FunctionContext {
  saved: Handle[] = [];
  nonDifferentiable: Handle[] = [];
  savedTensors: readonly Tensor[] = [];

  saveForBackward(...tensors: Tensor[]): void {
    this.saved = tensors.map((tensor) => handleOf(tensor, 'saveForBackward', 'tensors'));
  }

  markNonDifferentiable(...outputs: Tensor[]): void {
    this.nonDifferentiable = outputs.map((output) =>
      handleOf(output, 'markNonDifferentiable', 'outputs'),
    );
  }
}

function apply<Args extends readonly unknown[], Output extends Tensor | readonly Tensor[]>(
  definition: CustomFunction<Args, Output>,
  args: Args,
): Output {
  const context = new Context();
  const positions = [...args.keys()].filter((i) => args[i] instanceof Tensor);
  let count = 0;
  let isList = false;

  const forward = (exchange: number) =>
    scope(() => {
      const output: unknown = definition.forward(context, ...args);
      isList = Array.isArray(output);
      const outputs = isList ? (output as unknown[]) : [output];
      count = outputs.length;
      const handles = outputs.map((each) => handleOf(each, 'customFunction', "forward's result"));
      core.exchangeResults(exchange, handles, context.saved, context.nonDifferentiable);
      context.saved = [];
    });

  const backward = (exchange: number) =>
    scope(() => {
      const given = core.exchangeInputs(exchange).map(wrapOptional) as Tensor[];
      context.savedTensors = given.slice(count);
      const found = definition.backward(context, ...given.slice(0, count));
      context.savedTensors = [];
      core.exchangeResults(exchange, gradientsOf(found, args.length, positions));
    });

  const inputs = positions.map((i) => (args[i] as Tensor).handle);
  refresh();
  const outputs = core.customFunction(inputs, forward, backward).map(wrap);
  return (isList ? outputs : outputs[0]) as Output;
}

function gradientsOf(
  found: Tensor | null | readonly (Tensor | null)[],
  count: number,
  positions: readonly number[],
): (Handle | null)[] {
  const gradients: readonly unknown[] = Array.isArray(found) ? found : [found];
  if (gradients.length !== count) {
    throw new ArgumentError(
      `customFunction: backward returned ${gradients.length} gradients, expected ${count}, one for ` +
        'each argument of forward: null where there is none',
    );
  }
  return positions.map((i) => {
    const gradient = gradients[i] ?? null;
    if (gradient === null) return null;
    if (gradient instanceof Tensor) return gradient.handle;
    throw new ArgumentError(
      `customFunction: backward's gradient ${i} is ${describe(gradient)}, expected a Tensor or null`,
    );
  });
}
