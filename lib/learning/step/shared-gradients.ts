import * as nn from '../../nn/index.js';
import { distributed, type Tensor } from '../../torch/index.js';
import type { Framework } from '../framework.js';
import type { TrainerOptimizer } from './training-step.js';

/** The gradients of processes that share each batch, brought together in buckets while the backward runs. */
export class SharedGradients {
  readonly #buckets: distributed.GradientBuckets;
  /** Whether the backward itself waits for the others: then its messages must not cross the gradients'. */
  readonly #waits: boolean;

  /** Their sum, where each process differentiates the loss of the whole batch; else the mean. */
  constructor(
    group: distributed.ProcessGroup,
    { networks, trainable, options }: Framework,
    { groups }: TrainerOptimizer,
  ) {
    const parameters = groups.flatMap(({ params }) => params);
    const operation = options.lossOver === 'batch' ? 'sum' : 'mean';
    this.#buckets = new distributed.GradientBuckets(parameters, group, { operation });
    const modules = trainable.flatMap((name) => networks[name]!.modules());
    this.#waits = modules.some((each) => each instanceof nn.BatchNorm && !each.frozen);
  }

  /** Gives each parameter the gradient of all processes; one of which nobody has one is left alone. */
  backward(loss: Tensor): void {
    if (this.#waits) this.#buckets.hold(() => loss.backward());
    else loss.backward();
    this.#buckets.finish();
  }

  dispose(): void {
    this.#buckets.dispose();
  }
}
