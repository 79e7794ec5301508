import { existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { makeFolder, writeFileAtomic } from '../torch/atomic-write.js';
import { checkArguments } from '../torch/check-arguments.js';
import { M3lError } from '../torch/errors.js';
import * as is from '../torch/rules.js';
import { findCheckpoint, removeLeftovers } from './checkpoint.js';
import { type Config, configToYaml, resolveStored, type SettledConfig } from './config/config.js';
import { completed } from './config/follow-data.js';
import { RunError, reasonOf } from './errors.js';
import { requireFolder } from './folders.js';
import { appendMetrics, type MetricsLine, parseMetrics } from './metrics.js';
import { lockFolder } from './run-lock.js';

const ELSEWHERE = ' Mend that, or give another --out.';

/**
 * The folder of one training run.
 *
 *     config.yaml    the configuration with every default filled in
 *     metrics.jsonl  a line per logged iteration and per evaluation
 *     checkpoints/   see checkpoint.ts
 *     samples.png    contact sheet of the last evaluation
 *     summary.json   results of the finished run
 *     robustness.json  the curves of `measureRobustness`, where they were measured
 *     run.lock       while a process trains into it
 *
 * and what loggers write: csv/, tensorboard/, mlflow.json.
 */
export class RunFolder {
  readonly path: string;

  private constructor(path: string) {
    checkArguments('RunFolder', { path }, { path: is.text });
    this.path = resolve(path);
  }

  /**
   * A new run: in `out`, or `runs/NAME-TIME` in the current folder. Nothing is written before `begin`.
   *
   * @throws RunError M3L_RUN_EXISTS where `out` holds a run that was trained; M3L_RUN_WRITE where
   *   nothing can be written
   */
  static create(config: Config, out?: string): RunFolder {
    checkArguments(
      'RunFolder.create',
      { config, out },
      { config: is.shape('Config', { name: is.text }), out: is.maybe(is.text) },
    );

    const run = new RunFolder(out ?? freshName(config.name));
    run.#requireUntrained();
    run.#requireWritable();
    return run;
  }

  /** @throws RunError M3L_RUN_MISSING where the folder is not a run */
  static open(path: string): RunFolder {
    const run = new RunFolder(path);
    if (existsSync(run.configFile)) return run;
    const reason = !existsSync(run.path)
      ? 'does not exist'
      : statSync(run.path).isDirectory()
        ? 'holds no config.yaml'
        : 'is a file';
    throw new RunError(
      'M3L_RUN_MISSING',
      `${path} ${reason}; expected a run folder, as 'm3l train' writes.`,
    );
  }

  /** A run that another process writes: nothing is looked at. */
  static elsewhere(path: string): RunFolder {
    return new RunFolder(path);
  }

  /** The newest run in `runs/`, of one name where given. */
  static newest(name?: string): RunFolder {
    checkArguments('RunFolder.newest', { name }, { name: is.maybe(is.text) });

    const runs = existsSync('runs') ? readdirSync('runs') : [];
    const found = runs
      .filter((run) => name === undefined || run.replace(/-\d{8}-\d{6}(-\d+)?$/, '') === name)
      .map((run) => join('runs', run))
      .filter((run) => existsSync(join(run, 'config.yaml')))
      .sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs);
    if (found[0] !== undefined) return new RunFolder(found[0]);
    throw new RunError(
      'M3L_RUN_MISSING',
      `runs/ holds no run${name === undefined ? '' : ` named '${name}'`} to resume. Give its folder: --resume FOLDER`,
    );
  }

  get configFile(): string {
    return join(this.path, 'config.yaml');
  }

  get checkpoints(): string {
    return join(this.path, 'checkpoints');
  }

  get metricsFile(): string {
    return join(this.path, 'metrics.jsonl');
  }

  get samplesFile(): string {
    return join(this.path, 'samples.png');
  }

  get summaryFile(): string {
    return join(this.path, 'summary.json');
  }

  get robustnessFile(): string {
    return join(this.path, 'robustness.json');
  }

  /** Keeps other processes out; see `lockFolder`. */
  lock(): () => void {
    this.#writing(() => makeFolder(this.path), ELSEWHERE);
    return lockFolder(this.path);
  }

  /**
   * Makes the folder of a new run, or makes it anew where nothing was trained yet.
   * @throws RunError M3L_RUN_EXISTS, M3L_RUN_WRITE
   */
  begin(config: Config): void {
    this.#requireUntrained();
    this.#writing(() => {
      makeFolder(this.checkpoints);
      rmSync(this.metricsFile, { force: true });
      writeFileAtomic(this.configFile, configToYaml(config));
    }, ELSEWHERE);
  }

  /** Removes what a kill in the middle of a write has left. The lock must be held. */
  removeLeftovers(): void {
    this.#writing(() => {
      for (const name of readdirSync(this.path)) {
        if (/^\.(config|metrics|summary|samples|run|mlflow)\..*\.tmp$/.test(name)) {
          rmSync(join(this.path, name), { force: true });
        }
      }
      removeLeftovers(this.checkpoints);
    });
  }

  config(sets: readonly string[] = []): SettledConfig {
    return completed(resolveStored(this.configFile, sets));
  }

  /** Stores the configuration that a resumed run goes on with. */
  storeConfig(config: Config): void {
    writeFileAtomic(this.configFile, configToYaml(config));
  }

  /** @throws RunError M3L_RUN_WRITE where the disk takes no more */
  log(line: MetricsLine): void {
    this.#writing(() => appendMetrics(this.metricsFile, line));
  }

  /**
   * Lines that are damaged are left out.
   * @throws RunError M3L_RUN_READ
   */
  metrics(): MetricsLine[] {
    if (!existsSync(this.metricsFile)) return [];
    try {
      return parseMetrics(readFileSync(this.metricsFile, 'utf8'));
    } catch (error) {
      throw new RunError(
        'M3L_RUN_READ',
        `${this.metricsFile} cannot be read: ${reasonOf(error)}. Mend that, or remove it: the checkpoints do not need it.`,
        { cause: error },
      );
    }
  }

  /** Drops what was logged after an iteration, and a line that a kill cut short. */
  truncateMetrics(iteration: number): void {
    const kept = this.metrics().filter((line) => line.iteration <= iteration);
    const text = kept.map((line) => `${JSON.stringify(line)}\n`).join('');
    this.#writing(() => writeFileAtomic(this.metricsFile, text));
  }

  writeSummary(summary: Record<string, unknown>): void {
    const text = `${JSON.stringify(summary, null, 2)}\n`;
    this.#writing(() => writeFileAtomic(this.summaryFile, text));
  }

  /** A folder in which `begin` was the last that happened may be begun again. */
  #requireUntrained(): void {
    const found = !existsSync(this.path)
      ? null
      : !statSync(this.path).isDirectory()
        ? 'is a file'
        : findCheckpoint(this.checkpoints, 'latest') !== null || this.metrics().length > 0
          ? 'already holds a run'
          : existsSync(this.configFile) && !existsSync(this.checkpoints)
            ? 'already holds a config.yaml that is no run’s'
            : null;
    if (found === null) return;
    const resume = found.endsWith('a run') ? ` go on with it by --resume ${this.path},` : '';
    throw new RunError(
      'M3L_RUN_EXISTS',
      `${this.path} ${found}. Give another --out,${resume} or remove it.`,
    );
  }

  #requireWritable(): void {
    this.#writing(() => requireFolder(join(this.path, 'checkpoints')), ELSEWHERE);
  }

  #writing(work: () => void, mend = ''): void {
    try {
      work();
    } catch (error) {
      if (error instanceof RunError) throw error;
      const refusal = error instanceof M3lError ? (error.cause ?? error) : error;
      throw new RunError(
        'M3L_RUN_WRITE',
        `${this.path} cannot be written to: ${reasonOf(refusal)}.${mend}`,
        { cause: error },
      );
    }
  }
}

/** A name in `runs/` that is not taken: `runs/NAME-TIME`. */
export function freshName(name: string): string {
  checkArguments('freshName', { name }, { name: is.text });

  const time = new Date().toISOString().replaceAll(/[-:]/g, '').replace('T', '-').slice(0, 15);
  const base = join('runs', `${name}-${time}`);
  for (let copy = 2, path = base; ; copy++) {
    if (!existsSync(path)) return path;
    path = `${base}-${copy}`;
  }
}
