import { refresh } from './context.js';
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
    core.generatorSeed(this.native, seed);
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
