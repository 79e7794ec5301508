/** What Prometheus reads: counters, gauges and histograms in its text format, version 0.0.4. */
import * as torch from '../torch/index.js';

type Labels = Readonly<Record<string, string>>;

/** Upper bounds of histograms, in seconds. */
const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const BATCHES = [1, 2, 4, 8, 16, 32, 64];

interface Histogram {
  readonly counts: number[];
  sum: number;
  count: number;
}

/** Counts of one server since it started. */
export class Metrics {
  readonly #requests = new Map<string, number>();
  readonly #seconds = new Map<string, Histogram>();
  readonly #batches: Histogram = histogram(BATCHES);
  readonly #model: Histogram = histogram(SECONDS);
  readonly #missing = new Map<string, number>();
  #images = 0;
  #restarts = 0;

  request(route: string, status: number, seconds: number): void {
    add(this.#requests, labels({ route, status: String(status) }));
    const key = labels({ route });
    const found = this.#seconds.get(key) ?? histogram(SECONDS);
    this.#seconds.set(key, found);
    observe(found, SECONDS, seconds);
  }

  batch({ size, seconds }: { size: number; seconds: number }): void {
    observe(this.#batches, BATCHES, size);
    observe(this.#model, SECONDS, seconds);
  }

  prediction(missing: readonly string[]): void {
    this.#images += 1;
    for (const modality of missing) add(this.#missing, labels({ modality }));
  }

  restart(): void {
    this.#restarts += 1;
  }

  /** @param now what is counted nowhere but is so at this moment, by name */
  text(now: Readonly<Record<string, number>>): string {
    const memory = process.memoryUsage.rss();
    return [
      ...counter('m3l_requests_total', 'Requests answered.', this.#requests),
      ...histograms(
        'm3l_request_seconds',
        'Seconds from a request to its answer.',
        SECONDS,
        this.#seconds,
      ),
      ...counter('m3l_predictions_total', 'Scenes segmented.', new Map([['', this.#images]])),
      ...counter(
        'm3l_model_restarts_total',
        'Threads of the model that were started anew.',
        new Map([['', this.#restarts]]),
      ),
      ...counter('m3l_missing_modality_total', 'Scenes without a modality.', this.#missing),
      ...histograms(
        'm3l_batch_size',
        'Scenes that went to the model together.',
        BATCHES,
        new Map([['', this.#batches]]),
      ),
      ...histograms(
        'm3l_batch_seconds',
        'Seconds of the model a batch.',
        SECONDS,
        new Map([['', this.#model]]),
      ),
      ...Object.entries(now).flatMap(([name, value]) => gauge(name, value)),
      ...gauge('m3l_tensor_bytes', tensorBytes()),
      ...gauge('process_resident_memory_bytes', memory),
      '',
    ].join('\n');
  }
}

/** Of all threads' tensors that live, on all devices. */
function tensorBytes(): number {
  return Object.values(torch.memory().allocatedByDevice).reduce((sum, bytes) => sum + bytes, 0);
}

function histogram(bounds: readonly number[]): Histogram {
  return { counts: bounds.map(() => 0), sum: 0, count: 0 };
}

function observe(into: Histogram, bounds: readonly number[], value: number): void {
  for (const [i, bound] of bounds.entries()) if (value <= bound) into.counts[i]! += 1;
  into.sum += value;
  into.count += 1;
}

function add(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

function labels(given: Labels): string {
  const escaped = (value: string) =>
    value.replaceAll(/[\\"\n]/g, (c) => (c === '\n' ? '\\n' : `\\${c}`));
  return Object.entries(given)
    .map(([name, value]) => `${name}="${escaped(value)}"`)
    .join(',');
}

const braced = (inner: string) => (inner === '' ? '' : `{${inner}}`);

function counter(name: string, help: string, counts: ReadonlyMap<string, number>): string[] {
  const lines = [...counts].map(([key, value]) => `${name}${braced(key)} ${value}`);
  return [`# HELP ${name} ${help}`, `# TYPE ${name} counter`, ...lines];
}

function gauge(name: string, value: number): string[] {
  return [`# TYPE ${name} gauge`, `${name} ${value}`];
}

function histograms(
  name: string,
  help: string,
  bounds: readonly number[],
  found: ReadonlyMap<string, Histogram>,
): string[] {
  const lines = [...found].flatMap(([key, { counts, sum, count }]) => {
    const upTo = (le: string) =>
      braced([key, `le="${le}"`].filter((part) => part !== '').join(','));
    return [
      ...bounds.map((bound, i) => `${name}_bucket${upTo(String(bound))} ${counts[i]}`),
      `${name}_bucket${upTo('+Inf')} ${count}`,
      `${name}_sum${braced(key)} ${sum}`,
      `${name}_count${braced(key)} ${count}`,
    ];
  });
  return [`# HELP ${name} ${help}`, `# TYPE ${name} histogram`, ...lines];
}
