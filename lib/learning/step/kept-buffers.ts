import { persistent } from '../../nn/index.js';
import type { Tensor } from '../../torch/index.js';
import * as torch from '../../torch/index.js';

/**
 * Copies of what a forward pass changes (running statistics, a teacher's record), so that a step which
 * fails leaves them as the step before did.
 */
export class KeptBuffers {
  readonly #live: readonly Tensor[];
  readonly #kept: Tensor[];

  constructor(live: readonly Tensor[]) {
    this.#live = live;
    this.#kept = this.#live.map((buffer) => persistent(() => buffer.clone()));
  }

  keep(): void {
    copy(this.#kept, this.#live);
  }

  restore(): void {
    copy(this.#live, this.#kept);
  }

  dispose(): void {
    for (const tensor of this.#kept) tensor.dispose();
  }
}

function copy(to: readonly Tensor[], from: readonly Tensor[]): void {
  if (to.length > 0) torch.noGrad(() => torch._foreachCopy_(to, from));
}
