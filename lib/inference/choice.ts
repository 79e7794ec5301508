/** Timed calls of each way before one is chosen. */
const TRIALS = 3;
/** The plain way must be faster by this factor: other work on the machine disturbs what is timed. */
const MARGIN = 1.1;

type Way = 'packed' | 'plain';

/**
 * Which of two ways of the same work is the faster: the first calls take turns and are timed, so that
 * nothing is computed twice; the others take the way with the shorter shortest time. The two may
 * differ by rounding. Where they are about as fast it is the packed one.
 */
export class Choice {
  readonly #best: Record<Way, number> = { packed: Infinity, plain: Infinity };
  #calls = 0;
  #chosen: Way | null = null;

  /** @param prepare what `packed` takes; only called before it, and not timed */
  run<P, T>(prepare: () => P, packed: (prepared: P) => T, plain: () => T): T {
    if (this.#chosen !== null) return this.#chosen === 'packed' ? packed(prepare()) : plain();
    const way: Way = this.#calls++ % 2 === 0 ? 'packed' : 'plain';
    const prepared = way === 'packed' ? prepare() : null;
    const start = performance.now();
    const result = way === 'packed' ? packed(prepared as P) : plain();
    this.#best[way] = Math.min(this.#best[way], performance.now() - start);
    if (this.#calls === 2 * TRIALS) {
      this.#chosen = this.#best.packed <= MARGIN * this.#best.plain ? 'packed' : 'plain';
    }
    return result;
  }
}
