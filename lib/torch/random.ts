import { refresh } from './context.js';
import { seedOf } from './generator.js';
import { core } from './native.js';
import { requireText } from './require.js';
import { handleOf, type Tensor, wrap } from './tensor.js';

export { Generator } from './generator.js';

/**
 * Seeds the default generators of all devices, which the threads of a process share: what a worker draws
 * from is its own by `new torch.Generator()`.
 * @param seed an integer of 64 bits, with a sign or without: as PyTorch's, also what `initialSeed` gives
 */
export function manualSeed(seed: number | bigint): void {
  core.manualSeed(seedOf(seed));
}

/** The seed that the default CPU generator last got. */
export function initialSeed(): bigint {
  return core.initialSeed(null);
}

/**
 * State of the default generator of a device: a uint8 tensor.
 * @param device `cpu` by default
 */
export function getRngState(device = 'cpu'): Tensor {
  requireText(device, 'getRngState', "the name of a device, such as 'cuda:0'");
  refresh();
  return wrap(core.generatorState(device));
}

/** Sets the state of the default generator of a device, as `getRngState` gave it. */
export function setRngState(state: Tensor, device = 'cpu'): void {
  requireText(device, 'setRngState', "the name of a device, such as 'cuda:0'");
  core.setGeneratorState(device, handleOf(state, 'setRngState', 'state'));
}
