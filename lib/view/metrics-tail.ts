import { type FileHandle, open } from 'node:fs/promises';
import type { MetricsLine } from '../experiment/index.js';
import { parseMetrics } from '../experiment/metrics.js';
import type { EvaluationPoint, LatestEvaluation } from './api.js';
import { ThinnedCurves } from './curves.js';
import { statOf } from './files.js';
import { caseMeans, curvesOf, latestOf } from './metrics-lines.js';

const CHUNK = 1 << 20;
/** No line of ours is longer; what is, is not looked at. */
const LONGEST_LINE = 16 << 20;
const TRAIN = Buffer.from('{"kind":"train"');
const NEWLINE = 10;

/** What has been read of a run's metrics.jsonl. `read` goes on from where it stopped. */
export class MetricsTail {
  train = new ThinnedCurves();
  health = new ThinnedCurves();
  evaluations: EvaluationPoint[] = [];
  latest: LatestEvaluation | null = null;
  /** Iteration of the last line that was looked at. */
  iteration = 0;
  /** Counts how often all began anew: the file was replaced, as resuming does. */
  begun = 0;
  #offset = 0;
  #inode = 0;
  #rest: Buffer = Buffer.alloc(0);
  #skipping = false;
  #reading: Promise<void> | null = null;

  /** @param images in a training step, for the samples a second */
  constructor(
    private readonly path: string,
    private readonly images: number | null,
  ) {}

  /** Reads what was written since; calls at the same time share one reading. */
  read(): Promise<void> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = null;
    });
    return this.#reading;
  }

  async #read(): Promise<void> {
    const found = await statOf(this.path);
    if (found === null || !found.isFile()) return;
    if (found.ino !== this.#inode || found.size < this.#offset) this.#begin(found.ino);
    if (found.size === this.#offset) return;
    const file = await open(this.path, 'r').catch(() => null);
    if (file === null) return;
    try {
      await this.#follow(file);
    } finally {
      await file.close();
    }
  }

  #begin(inode: number): void {
    this.#inode = inode;
    this.#offset = 0;
    this.#rest = Buffer.alloc(0);
    this.#skipping = false;
    this.train = new ThinnedCurves();
    this.health = new ThinnedCurves();
    this.evaluations = [];
    this.latest = null;
    this.iteration = 0;
    this.begun += 1;
  }

  async #follow(file: FileHandle): Promise<void> {
    for (;;) {
      const { bytesRead, buffer } = await file.read(Buffer.alloc(CHUNK), 0, CHUNK, this.#offset);
      if (bytesRead === 0) return;
      this.#offset += bytesRead;
      this.#take(buffer.subarray(0, bytesRead));
    }
  }

  #take(chunk: Buffer): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let start = 0;
    for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, start)) {
      if (!this.#skipping) this.#line(bytes.subarray(start, end));
      this.#skipping = false;
      start = end + 1;
    }
    this.#rest = Buffer.from(bytes.subarray(start));
    if (this.#rest.length > LONGEST_LINE) {
      this.#rest = Buffer.alloc(0);
      this.#skipping = true;
    }
  }

  #line(bytes: Buffer): void {
    const isTrain = bytes.subarray(0, TRAIN.length).equals(TRAIN);
    // Most lines of a long run are not even parsed.
    if (isTrain && !this.train.next()) return;
    const [line] = parseMetrics(bytes.toString('utf8'));
    if (line !== undefined) this.#add(line);
  }

  #add(line: MetricsLine): void {
    this.iteration = Math.max(this.iteration, line.iteration);
    if (line.kind === 'train') this.train.add(line.iteration, curvesOf(line, this.images));
    else if (line.kind === 'health') {
      if (this.health.next()) this.health.add(line.iteration, curvesOf(line, null));
    } else {
      const latest = latestOf(line);
      this.latest = latest;
      const { robustMeanIoU } = line as { robustMeanIoU?: number | null };
      this.evaluations.push({
        iteration: line.iteration,
        robustMeanIoU: robustMeanIoU ?? null,
        cases: caseMeans(latest),
      });
    }
  }
}
