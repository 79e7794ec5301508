import { refresh } from './context.js';
import { ArgumentError, describe } from './errors.js';
import { core, type Handle, type NativeGenerator } from './native.js';
import { handleOf, type Tensor, wrap } from './tensor.js';

/** A stream of random numbers of its own, for the `generator` option of random operators. */
export class Generator {
  /** Internal: what the core knows the generator by. */
  readonly native: NativeGenerator;

  constructor(readonly device: string = 'cpu') {
    this.native = core.newGenerator(device);
  }

  /** Starts the stream anew; an integer seed gives the same numbers as in PyTorch. */
  manualSeed(seed: number | bigint): this {
    core.generatorSeed(this.native, seedOf(seed));
    return this;
  }

  initialSeed(): bigint {
    return core.initialSeed(this.native);
  }

  /** The whole state as a uint8 tensor, as PyTorch stores it. */
  getState(): Tensor {
    refresh();
    return wrap(core.generatorState(this.native) as Handle);
  }

  setState(state: Tensor): this {
    core.setGeneratorState(this.native, handleOf(state, 'Generator.setState', 'state'));
    return this;
  }
}

/** A seed as the core takes it: 64 bits. Throws M3L_ARGUMENT for what are not. */
export function seedOf(seed: number | bigint): bigint {
  const integer = typeof seed === 'bigint' || Number.isInteger(seed) ? BigInt(seed) : null;
  if (integer !== null && integer >= -(2n ** 63n) && integer < 2n ** 64n) {
    return BigInt.asIntN(64, integer);
  }
  throw new ArgumentError(`seed: found ${describe(seed)}, expected an integer of at most 64 bits`);
}
