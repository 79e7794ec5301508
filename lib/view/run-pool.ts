import { RunScenes } from './run-scenes.js';

/** Runs whose networks are kept open: each takes its weights' memory and a thread. */
const MOST = 2;

interface Held {
  readonly scenes: Promise<RunScenes>;
  /** Requests that are at work with it: until they are done it stays. */
  users: number;
}

/** The runs whose scenes were asked for last. */
export class RunPool {
  readonly #held = new Map<string, Held>();

  constructor(private readonly sets: readonly string[]) {}

  /**
   * What the work comes to with the scenes of a run.
   * @throws as `RunScenes.open` and the work
   */
  async use<Result>(
    folder: string,
    work: (scenes: RunScenes) => Result | Promise<Result>,
  ): Promise<Result> {
    const held = this.#held.get(folder) ?? {
      scenes: RunScenes.open(folder, this.sets),
      users: 0,
    };
    // Last in the map is the one last asked for.
    this.#held.delete(folder);
    this.#held.set(folder, held);
    held.users += 1;
    held.scenes.catch(() => {
      if (this.#held.get(folder) === held) this.#held.delete(folder);
    });
    try {
      return await work(await held.scenes);
    } finally {
      held.users -= 1;
      this.#trim();
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#held.keys()].map((folder) => this.#close(folder)));
  }

  /** Closes the oldest that nobody works with, where there are too many. */
  #trim(): void {
    for (const [folder, { users }] of this.#held) {
      if (this.#held.size <= MOST) return;
      if (users === 0) void this.#close(folder);
    }
  }

  async #close(folder: string): Promise<void> {
    const held = this.#held.get(folder);
    this.#held.delete(folder);
    await (await held?.scenes.catch(() => null))?.close();
  }
}
