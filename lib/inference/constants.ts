import * as nn from '../nn/index.js';
import type { Tensor } from '../torch/index.js';

/** Tensors that are made once and live until all of them are released together. */
export class Constants {
  readonly #made: Tensor[] = [];

  /** @param measure whether the ways of a product are timed, or packed weights taken untimed */
  constructor(readonly measure: boolean) {}

  /** The result of `make`, which must be a new tensor; nothing else that it makes stays. */
  make(make: () => Tensor): Tensor {
    const tensor = nn.persistent(make);
    this.#made.push(tensor);
    return tensor;
  }

  dispose(): void {
    for (const tensor of this.#made.splice(0)) tensor.dispose();
  }
}
