import type { Curves } from './api.js';

/** Points of a curve: twice as many as a wide screen shows. */
const MOST = 4000;

/** Of a value: more than a chart shows, and a third of what is written of it otherwise. */
const DIGITS = 6;

/**
 * Rows of named numbers over iterations, of a run of any length: every row at first, then every second,
 * every fourth, …
 */
export class ThinnedCurves {
  #x: number[] = [];
  #columns = new Map<string, (number | null)[]>();
  #stride = 1;
  #offered = 0;
  /** Counts how often rows were left out anew: what was sent before is then of no use. */
  thinned = 0;

  get length(): number {
    return this.#x.length;
  }

  /** Whether the next row is to be taken; one that is not need not even be read. */
  next(): boolean {
    return this.#offered++ % this.#stride === 0;
  }

  add(iteration: number, values: Readonly<Record<string, number | null>>): void {
    for (const name of Object.keys(values)) {
      if (!this.#columns.has(name))
        this.#columns.set(
          name,
          this.#x.map(() => null),
        );
    }
    this.#x.push(iteration);
    for (const [name, column] of this.#columns) column.push(rounded(values[name] ?? null));
    if (this.#x.length >= MOST) this.#thin();
  }

  /** The rows from `start` on. */
  since(start: number): Curves {
    return {
      x: this.#x.slice(start),
      columns: Object.fromEntries(
        [...this.#columns].map(([name, column]) => [name, column.slice(start)]),
      ),
    };
  }

  #thin(): void {
    const every = <Value>(list: Value[]) => list.filter((_, index) => index % 2 === 0);
    this.#x = every(this.#x);
    for (const [name, column] of this.#columns) this.#columns.set(name, every(column));
    this.#stride *= 2;
    this.thinned += 1;
  }
}

function rounded(value: number | null): number | null {
  return value === null ? null : Number(value.toPrecision(DIGITS));
}
