import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { writeFileAtomic } from '../torch/atomic-write.js';
import { type Config, configToYaml, resolveConfig } from './config/config.js';
import { RunError, reasonOf } from './errors.js';

/** One line of `metrics.jsonl`: a training iteration or an evaluation. */
export type MetricsLine = { kind: 'train' | 'evaluation'; iteration: number } & Record<
  string,
  unknown
>;

/**
 * The folder of one training run.
 *
 *     config.yaml    the configuration with every default filled in
 *     metrics.jsonl  a line per logged iteration and per evaluation
 *     checkpoints/   see checkpoint.ts
 *     samples.png    contact sheet of the last evaluation
 *     summary.json   results of the finished run
 */
export class RunFolder {
  readonly path: string;

  private constructor(path: string) {
    this.path = resolve(path);
  }

  /**
   * Makes a new run folder: `out`, or `runs/NAME-TIME` in the current folder.
   *
   * @throws RunError M3L_RUN_EXISTS where `out` holds a run already
   */
  static create(config: Config, out?: string): RunFolder {
    const run = new RunFolder(out ?? freshName(config.name));
    if (existsSync(run.configFile)) {
      throw new RunError(
        'M3L_RUN_EXISTS',
        `${run.path} already holds a run. Give another --out, go on with it by --resume ${out ?? run.path}, or remove it.`,
      );
    }
    mkdirSync(run.checkpoints, { recursive: true });
    writeFileAtomic(run.configFile, configToYaml(config));
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

  /** The newest run in `runs/`, of one name where given. */
  static newest(name?: string): RunFolder {
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

  config(sets: readonly string[] = []): Config {
    return resolveConfig(this.configFile, sets);
  }

  /** Stores the configuration that a resumed run goes on with. */
  storeConfig(config: Config): void {
    writeFileAtomic(this.configFile, configToYaml(config));
  }

  /** @throws RunError M3L_RUN_WRITE where the disk takes no more */
  log(line: MetricsLine): void {
    try {
      appendFileSync(this.metricsFile, `${JSON.stringify(line)}\n`);
    } catch (error) {
      throw new RunError(
        'M3L_RUN_WRITE',
        `${this.metricsFile} could not be written: ${reasonOf(error)}. The checkpoints are intact: mend that, then go on with --resume.`,
        { cause: error },
      );
    }
  }

  metrics(): MetricsLine[] {
    if (!existsSync(this.metricsFile)) return [];
    return readFileSync(this.metricsFile, 'utf8').split('\n').flatMap(parseLine);
  }

  /** Drops what was logged after an iteration, and a line that a kill cut short. */
  truncateMetrics(iteration: number): void {
    const kept = this.metrics().filter((line) => line.iteration <= iteration);
    writeFileAtomic(this.metricsFile, kept.map((line) => `${JSON.stringify(line)}\n`).join(''));
  }

  writeSummary(summary: Record<string, unknown>): void {
    writeFileAtomic(this.summaryFile, `${JSON.stringify(summary, null, 2)}\n`);
  }
}

function parseLine(text: string): MetricsLine[] {
  try {
    return text === '' ? [] : [JSON.parse(text) as MetricsLine];
  } catch {
    return [];
  }
}

/** A name in `runs/` that is not taken: `runs/NAME-TIME`. */
export function freshName(name: string): string {
  const time = new Date().toISOString().replaceAll(/[-:]/g, '').replace('T', '-').slice(0, 15);
  const base = join('runs', `${name}-${time}`);
  for (let copy = 2, path = base; ; copy++) {
    if (!existsSync(path)) return path;
    path = `${base}-${copy}`;
  }
}
