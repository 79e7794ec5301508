import { enableGrad, grad, noGrad } from './autograd.js';
import { jacobians } from './derivatives.js';
import { ArgumentError, M3lError } from './errors.js';
import { requireFunction, withDefaults } from './require.js';
import { scope } from './scope.js';
import { Tensor } from './tensor.js';

/** What `gradcheck` and `gradgradcheck` take by name. */
export interface GradcheckOptions {
  /** Step of the central differences; 1e-6. */
  eps: number;
  /** 1e-5. */
  atol: number;
  /** 1e-3. */
  rtol: number;
}

const DEFAULTS: GradcheckOptions = { eps: 1e-6, atol: 1e-5, rtol: 1e-3 };

type Differentiable = (...inputs: Tensor[]) => Tensor | readonly Tensor[];

/**
 * Compares the gradients of `fn` with central differences, for each input that requires one.
 *
 * @param inputs float64: with fewer digits the differences say little
 * @throws M3lError M3L_GRADCHECK naming the input, the output and both values; M3L_ARGUMENT
 */
export function gradcheck(
  fn: Differentiable,
  inputs: readonly Tensor[],
  options: Partial<GradcheckOptions> = {},
): true {
  requireFunction(fn, 'gradcheck');
  const { eps, atol, rtol } = withDefaults('gradcheck', DEFAULTS, options);
  const checked = checkedInputs(inputs, 'gradcheck');
  return scope(() => {
    const outputs = outputsOf(fn, inputs);
    for (const [o, output] of outputs.entries()) {
      for (const i of checked) {
        const exact = exactJacobian(output, inputs[i]!);
        const measured = measuredJacobian(fn, inputs, i, o, eps);
        compare(exact, measured, { i, o, atol, rtol });
      }
    }
    return true as const;
  });
}

/**
 * As `gradcheck`, of the gradients: compares the second derivatives with differences of the first.
 * @throws M3lError M3L_GRADCHECK; M3L_ARGUMENT
 */
export function gradgradcheck(
  fn: Differentiable,
  inputs: readonly Tensor[],
  options: Partial<GradcheckOptions> = {},
): true {
  requireFunction(fn, 'gradgradcheck');
  const checked = checkedInputs(inputs, 'gradgradcheck');
  return scope(() => {
    const weights = outputsOf(fn, inputs).map((output) => {
      const weight = output.detach().cos();
      weight.requiresGrad = true;
      return weight;
    });
    const gradients = (...given: Tensor[]) => {
      const own = given.slice(0, inputs.length);
      const outputs = outputsOf(fn, own);
      const found = grad(
        outputs,
        checked.map((i) => own[i]!),
        { gradOutputs: given.slice(inputs.length), createGraph: true, allowUnused: true },
      );
      return found.map((gradient, k) => gradient ?? own[checked[k]!]!.mul(0));
    };
    return gradcheck(gradients, [...inputs, ...weights], options);
  });
}

function checkedInputs(inputs: readonly Tensor[], name: string): number[] {
  const found = [...inputs.keys()].filter(
    (i) => inputs[i] instanceof Tensor && inputs[i].requiresGrad,
  );
  if (found.length === 0) {
    throw new ArgumentError(`${name}: no input requires a gradient; set requiresGrad of one`);
  }
  for (const i of found) {
    const { dtype } = inputs[i]!;
    if (dtype !== 'float64') {
      throw new ArgumentError(
        `${name}: input ${i} is ${dtype}, expected float64: differences of fewer digits say little`,
      );
    }
  }
  return found;
}

function outputsOf(fn: Differentiable, inputs: readonly Tensor[]): Tensor[] {
  const output = enableGrad(() => fn(...inputs));
  const list = Array.isArray(output) ? (output as readonly Tensor[]) : [output as Tensor];
  return list.filter((each) => each.dtype === 'float64');
}

/** [output elements][input elements] */
function exactJacobian(output: Tensor, input: Tensor): number[][] {
  const [exact] = jacobians(output, [input], false);
  return exact!.reshape([output.numel(), input.numel()]).toArray() as number[][];
}

function measuredJacobian(
  fn: Differentiable,
  inputs: readonly Tensor[],
  i: number,
  o: number,
  eps: number,
): number[][] {
  const input = inputs[i]!;
  const value = (column: number, step: number) =>
    scope(() => {
      const moved = input.detach().clone();
      noGrad(() => moved.reshape([-1]).select(0, column).add_(step));
      moved.requiresGrad = true;
      const given = inputs.map((x, k) => (k === i ? moved : x));
      return outputsOf(fn, given)[o]!.detach().reshape([-1]).toArray() as number[];
    });
  const columns = Array.from({ length: input.numel() }, (_, column) => {
    const [up, down] = [value(column, eps), value(column, -eps)];
    return up.map((high, row) => (high - down[row]!) / (2 * eps));
  });
  return (columns[0] ?? []).map((_, row) => columns.map((column) => column[row]!));
}

function compare(
  exact: number[][],
  measured: number[][],
  { i, o, atol, rtol }: { i: number; o: number; atol: number; rtol: number },
): void {
  for (const [row, values] of measured.entries()) {
    for (const [column, expected] of values.entries()) {
      const found = exact[row]![column]!;
      if (Math.abs(found - expected) <= atol + rtol * Math.abs(expected)) continue;
      throw new M3lError(
        'M3L_GRADCHECK',
        `gradcheck: the gradient of element ${row} of output ${o} with respect to element ${column} ` +
          `of input ${i} is ${found}, differences say ${expected}`,
      );
    }
  }
}
