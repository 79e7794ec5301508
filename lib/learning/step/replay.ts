import { checkArguments } from '../../torch/check-arguments.js';
import { replayGraphShape } from '../rules.js';
/** Runs a piece of work that reads and writes tensors which stay where they are, again and again. */
export interface Replay {
  /** @param work the same at every call, up to what those tensors hold */
  run(work: () => void): void;
  dispose(): void;
}

/** Runs the work itself every time. */
export class PlainReplay implements Replay {
  run(work: () => void): void {
    work();
  }

  dispose(): void {}
}

/** What `torch.cuda.Graph` does. */
export interface ReplayGraph {
  warmUp(fn: () => void): void;
  capture(fn: () => void): void;
  replay(): void;
  dispose(): void;
}

/** Runs that are done as they are: state is made, handles and work spaces are there after them. */
const WARM_UP = 3;

/** Runs the work itself a few times, then records it, and from there on replays the recording. */
export class CapturedReplay implements Replay {
  #runs = 0;

  constructor(private readonly graph: ReplayGraph) {
    checkArguments('CapturedReplay', { graph }, { graph: replayGraphShape });
  }

  run(work: () => void): void {
    this.#runs += 1;
    if (this.#runs <= WARM_UP) {
      this.graph.warmUp(work);
      return;
    }
    if (this.#runs === WARM_UP + 1) this.graph.capture(work);
    this.graph.replay();
  }

  dispose(): void {
    this.graph.dispose();
  }
}
