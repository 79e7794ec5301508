import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import type { EventStream } from '../http/event-stream.js';
import type { RunUpdate } from './api.js';
import { MetricsTail } from './metrics-tail.js';
import type { RunCatalogue } from './run-catalogue.js';
import { readRunConfig } from './run-config.js';
import type { RunSummaries } from './run-summaries.js';

/** Milliseconds between two looks at a run's files. */
const LOOK_EVERY = 400;
/** Logs that are kept as read. */
const MOST_TAILS = 32;

/** What a listener was sent of a run. */
interface Sent {
  begun: number;
  thinned: number;
  train: number;
  health: number;
  evaluations: number;
  state: string;
}

/** Runs' logs as they grow. Listeners of one run share what was read of it. */
export class LiveRuns {
  readonly #tails = new Map<string, MetricsTail>();

  constructor(
    private readonly catalogue: RunCatalogue,
    private readonly summaries: RunSummaries,
  ) {}

  /** Sends all of the runs, and then what comes, until the client goes. */
  async follow(ids: readonly string[], { signal, send }: EventStream): Promise<void> {
    const sent = new Map<string, Sent>();
    while (!signal.aborted) {
      for (const id of ids) {
        const update = await this.#update(id, sent);
        if (update !== null) await send('run', update);
      }
      await setTimeout(LOOK_EVERY, undefined, { signal }).catch(() => {});
    }
  }

  async #update(id: string, known: Map<string, Sent>): Promise<RunUpdate | null> {
    const folder = await this.catalogue.folderOf(id);
    const tail = await this.#tailOf(folder);
    await tail.read();
    const summary = await this.summaries.of({ id, folder, changed: Date.now() });
    const { train, health, evaluations, begun } = tail;
    const thinned = train.thinned + health.thinned;
    const now: Sent = {
      begun,
      thinned,
      train: train.length,
      health: health.length,
      evaluations: evaluations.length,
      state: `${summary.state} ${summary.problem} ${summary.robustMeanIoU}`,
    };
    const before = known.get(id);
    if (before !== undefined && JSON.stringify(before) === JSON.stringify(now)) return null;
    known.set(id, now);
    const whole = before === undefined || before.begun !== begun || before.thinned !== thinned;
    const from = whole ? { train: 0, health: 0, evaluations: 0 } : before;
    const more = whole || evaluations.length > from.evaluations;
    return {
      id,
      whole,
      summary: { ...summary, iteration: Math.max(summary.iteration, tail.iteration) },
      train: train.since(from.train),
      health: health.since(from.health),
      evaluations: evaluations.slice(from.evaluations),
      latest: more ? tail.latest : null,
    };
  }

  async #tailOf(folder: string): Promise<MetricsTail> {
    const known = this.#tails.get(folder);
    if (known !== undefined) return known;
    const { facts } = await readRunConfig(join(folder, 'config.yaml'));
    const tail = new MetricsTail(join(folder, 'metrics.jsonl'), facts.images);
    this.#tails.set(folder, tail);
    if (this.#tails.size > MOST_TAILS) this.#tails.delete(this.#tails.keys().next().value!);
    return tail;
  }
}
