import type { StepReport } from '../learning/index.js';
import type { MetricsLine } from './metrics.js';

/** A window is this share of a training, and at least so many steps. */
const WINDOW = { share: 0.05, least: 20 };
/** A class is said where its share of the pseudo labels is this part of its share of labelled pixels. */
const SAID = 0.2;
/** And no longer where it is below this part. */
const LOST = 0.02;

/** The mean of a window of steps: each number, and each list by class, by name. */
export type HealthMeans = Readonly<Record<string, number | number[]>>;

/**
 * Watches what a training reports of its health: the means of each window, and in words where a class that
 * has labels is no longer among the pseudo labels, or never was.
 */
export class HealthWatch {
  readonly #window: number;
  readonly #sums = new Map<string, number[]>();
  #count = 0;
  /** By class: when it was last said, whether it is told of already. */
  readonly #said = new Map<number, number>();
  readonly #told = new Set<number>();

  /** @param earlier what the run's log holds: a resumed run knows what was said before */
  constructor(
    private readonly classes: readonly string[],
    private readonly iterations: number,
    earlier: readonly MetricsLine[] = [],
  ) {
    this.#window = Math.max(WINDOW.least, Math.round(WINDOW.share * iterations));
    for (const { kind, iteration, ...means } of earlier) {
      if (kind === 'health') this.#notes(means as HealthMeans, iteration);
    }
  }

  /** @returns the means where a window ends with this step, and what is to be told */
  after({ health, iteration }: StepReport): { means: HealthMeans; notes: string[] } | null {
    const values = Object.entries(health);
    if (values.length === 0) return null;
    for (const [name, value] of values) {
      const list = typeof value === 'number' ? [value] : value;
      const sums = this.#sums.get(name) ?? list.map(() => 0);
      this.#sums.set(
        name,
        sums.map((sum, i) => sum + list[i]!),
      );
    }
    this.#count += 1;
    const done = iteration + 1;
    if (done % this.#window !== 0 && done !== this.iterations) return null;
    const means = Object.fromEntries(
      values.map(([name, value]) => {
        const list = this.#sums.get(name)!.map((sum) => rounded(sum / this.#count));
        return [name, typeof value === 'number' ? list[0]! : list];
      }),
    );
    this.#sums.clear();
    this.#count = 0;
    return { means, notes: this.#notes(means, done) };
  }

  #notes({ labelledShares, pseudoShares, lambda }: HealthMeans, done: number): string[] {
    if (!Array.isArray(labelledShares) || !Array.isArray(pseudoShares)) return [];
    return labelledShares.flatMap((labelled, k) => {
      if (labelled === 0) return [];
      const share = pseudoShares[k]! / labelled;
      if (share >= SAID) {
        this.#said.set(k, done);
        this.#told.delete(k);
        return [];
      }
      const last = this.#said.get(k);
      const lost = last !== undefined && share < LOST;
      const never = last === undefined && share < LOST && done >= this.iterations / 2;
      if (!(lost || never) || this.#told.has(k)) return [];
      this.#told.add(k);
      const found =
        `'${this.classes[k]}' has ${percent(labelled)} of the labelled pixels and ` +
        `${percent(pseudoShares[k]!)} of the pseudo labels`;
      const since = lost ? `; until iteration ${last} it had more` : ', and never had many';
      const weight = typeof lambda === 'number' ? ` λ is at ${lambda.toFixed(2)} for that.` : '';
      return [
        `Iteration ${done}: ${found}${since}.${weight} If it stays so: label more of its pixels, ` +
          'lower framework.lambda, or raise framework.supervisedIterations.',
      ];
    });
  }
}

function rounded(value: number): number {
  return Number(value.toPrecision(4));
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
