import { ensureSynchronous } from './autograd.js';
import { M3lError } from './errors.js';
import { core } from './native.js';
import { ops } from './ops.js';
import { requireText } from './require.js';

/**
 * Work for a CUDA device that is recorded once and then replayed with one launch, as
 * `torch.cuda.CUDAGraph` of PyTorch.
 *
 * A replay repeats the very kernels on the very memory: it reads and writes the tensors that the
 * recorded function read and wrote. So what changes from replay to replay is copied into tensors
 * that stay where they are, results are copied out of such, and nothing recorded may have the host
 * wait for the device (`item`, a copy to or from pageable memory, a shape that depends on values).
 * Random numbers of the default generator are drawn anew, as if the function had run again.
 *
 * Memory that was taken while recording belongs to the graph until it is disposed of.
 */
export class Graph {
  readonly #number: number;
  #disposed = false;

  /** @throws M3lError M3L_NO_CUDA where no CUDA device is seen */
  constructor(readonly device = 'cuda') {
    requireText(device, 'cuda.Graph', "a device such as 'cuda:0'");
    if (!core.cudaAvailable()) {
      throw new M3lError(
        'M3L_NO_CUDA',
        `a graph of '${device}' is asked for, and this libtorch sees no CUDA device: expected one. ` +
          "See 'npx m3l doctor' for the reason.",
      );
    }
    this.#number = ops.m3l!.cuda_graph_create!(device) as number;
  }

  /**
   * Runs synchronous `fn` on the stream that will record it: what is set up at first use (handles,
   * work spaces, kernels that load lazily) must be there before a capture.
   */
  warmUp<T>(fn: () => T): T {
    ops.m3l!.cuda_graph_enter!(this.#number);
    try {
      return ensureSynchronous(fn(), 'Graph.warmUp');
    } finally {
      ops.m3l!.cuda_graph_leave!(this.#number);
    }
  }

  /** Records what synchronous `fn` asks of the device, without doing it; once for each graph. */
  capture<T>(fn: () => T): T {
    // What the warm-up left in the cache would lie there unused beside the graph's own memory.
    core.emptyCache();
    return this.warmUp(() => {
      ops.m3l!.cuda_graph_begin_capture!(this.#number);
      // After a throw, leaving the stream gives the capture up.
      const result = ensureSynchronous(fn(), 'Graph.capture');
      ops.m3l!.cuda_graph_end_capture!(this.#number);
      return result;
    });
  }

  /** Has the device do all that was recorded, on the current stream. */
  replay(): void {
    ops.m3l!.cuda_graph_replay!(this.#number);
  }

  /** Gives the graph's memory back; a second call does nothing. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    ops.m3l!.cuda_graph_destroy!(this.#number);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
