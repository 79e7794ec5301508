import { call, callAsync } from './operators.js';

/** A collective that was begun and may still run. */
export interface Work {
  /**
   * Blocks until it has ended. The tensor holds the result from then on, and is not to be touched before.
   * @throws M3lError M3L_DISTRIBUTED_TIMEOUT or M3L_DISTRIBUTED_PEER that names the ranks which are gone
   */
  wait(): void;
  /** Whether `wait` would return, or throw, at once. */
  isDone(): boolean;
  /** As `wait`, on a thread of Node's pool: the event loop goes on. */
  readonly done: Promise<void>;
}

/** By the number that an operator gave. */
export class NumberedWork implements Work {
  readonly #number: number;
  #ended = false;
  #done: Promise<void> | null = null;

  constructor(number: number) {
    this.#number = number;
  }

  wait(): void {
    if (this.#ended) return;
    call('wait', this.#number);
    this.#ended = true;
  }

  isDone(): boolean {
    return this.#ended || (call('done', this.#number) as boolean);
  }

  get done(): Promise<void> {
    this.#done ??= callAsync('wait', this.#number).then(() => {
      this.#ended = true;
    });
    return this.#done;
  }
}
