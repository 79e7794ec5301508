import { enableGrad, backward as runBackward } from './autograd.js';
import { fromBytes } from './creation.js';
import { customFunction } from './custom-function.js';
import { ArgumentError } from './errors.js';
import { core } from './native.js';
import { getRngState, setRngState } from './random.js';
import { requireFunction } from './require.js';
import { Tensor } from './tensor.js';

/**
 * `fn(...inputs)` without what its backward would need: that is computed again when the backward comes
 * to it, from the inputs alone. Saves memory for a second forward's time. Random numbers of the default
 * generators of the CPU and the inputs' devices are drawn as the first time. Parameters that `fn` reads get their gradients too; at
 * least one input must require one.
 *
 * @throws M3lError M3L_ARGUMENT where no input requires a gradient
 */
export function checkpoint<
  Inputs extends readonly Tensor[],
  Output extends Tensor | readonly Tensor[],
>(fn: (...inputs: Inputs) => Output, ...inputs: Inputs): Output {
  requireFunction(fn, 'checkpoint');
  if (core.isGradEnabled() && !inputs.some((x) => x instanceof Tensor && x.requiresGrad)) {
    throw new ArgumentError(
      'checkpoint: no input requires a gradient, so that no backward would come to it; set ' +
        'requiresGrad of one, or call the function itself',
    );
  }
  let states: readonly GeneratorState[] = [];
  // A tensor of `inputs` may be gone by then.
  const differentiable = inputs.map((x) => x instanceof Tensor && x.requiresGrad);
  const recomputed = customFunction<Inputs, Output>({
    forward(context, ...given) {
      states = statesOf(given);
      context.saveForBackward(...given);
      return fn(...given);
    },
    backward(context, ...gradients) {
      const again = context.savedTensors.map((saved, i) => {
        const leaf = saved.detach();
        leaf.requiresGrad = differentiable[i]!;
        return leaf;
      });
      const now = statesOf(again);
      restore(states);
      const output = enableGrad(() => fn(...(again as unknown as Inputs)));
      restore(now);
      const outputs = (Array.isArray(output) ? output : [output]) as Tensor[];
      const used = outputs.flatMap((each, i) => (each.requiresGrad ? [i] : []));
      runBackward(
        used.map((i) => outputs[i]!),
        used.map((i) => gradients[i]!),
      );
      return again.map((leaf) => leaf.grad);
    },
  });
  return recomputed(...inputs);
}

interface GeneratorState {
  device: string;
  bytes: Uint8Array;
}

/** Of the default generators that a function of these may draw from. */
function statesOf(given: readonly unknown[]): GeneratorState[] {
  const devices = given.flatMap((each) => (each instanceof Tensor ? [each.device] : []));
  const drawing = devices.filter((device) => device.startsWith('cuda'));
  return [...new Set(['cpu', ...drawing])].map((device) => {
    const state = getRngState(device);
    const bytes = state.toTypedArray() as Uint8Array;
    state.dispose();
    return { device, bytes };
  });
}

function restore(states: readonly GeneratorState[]): void {
  for (const { device, bytes } of states) {
    const state = fromBytes(bytes, 'uint8');
    setRngState(state, device);
    state.dispose();
  }
}
