import { RunScenes } from './run-scenes.js';

/** Runs whose networks are kept open: each takes its weights' memory and a thread. */
const MOST = 2;

/** The runs whose scenes were asked for last. */
export class RunPool {
  readonly #open = new Map<string, Promise<RunScenes>>();

  constructor(private readonly sets: readonly string[]) {}

  /** @throws as `RunScenes.open` */
  async of(folder: string): Promise<RunScenes> {
    const known = this.#open.get(folder) ?? RunScenes.open(folder, this.sets);
    this.#open.delete(folder);
    this.#open.set(folder, known);
    known.catch(() => {
      if (this.#open.get(folder) === known) this.#open.delete(folder);
    });
    const oldest = this.#open.keys().next().value;
    if (this.#open.size > MOST && oldest !== undefined) await this.#close(oldest);
    return known;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#open.keys()].map((folder) => this.#close(folder)));
  }

  async #close(folder: string): Promise<void> {
    const scenes = this.#open.get(folder);
    this.#open.delete(folder);
    await (await scenes?.catch(() => null))?.close();
  }
}
