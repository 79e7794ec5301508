import { configToYaml, type SettledConfig } from '../config/config.js';
import { Interrupted, reasonOf } from '../errors.js';
import type { MetricsLine } from '../metrics.js';
import type { Ending, LoggedRun, Logger } from './logger.js';
import { LOGGERS, type LoggerName } from './registry.js';

/** @throws ConfigError of a logger that lacks something */
export function checkLoggers(names: readonly LoggerName[]): void {
  for (const logger of named(names)) if ('check' in logger) logger.check();
}

/** The loggers of a run. One that fails is left out from then on, which is told; training goes on. */
export class RunLogging {
  readonly #loggers = new Map<string, Logger>();

  /** @param note tells the user something */
  constructor(
    private readonly config: SettledConfig,
    private readonly folder: string,
    private readonly note: (text: string) => void,
  ) {}

  /** Ends the loggers with the work, telling them how it ended. */
  async during<Result>(work: () => Promise<Result>): Promise<Result> {
    try {
      const result = await work();
      await this.#close('finished');
      return result;
    } catch (error) {
      await this.#close(error instanceof Interrupted ? 'stopped' : 'failed');
      throw error;
    }
  }

  open(at: Pick<LoggedRun, 'iteration' | 'earlier' | 'classes'>): void {
    const { config, folder, note } = this;
    const run = { ...at, config, folder, note, text: configToYaml(config) };
    for (const { name, open } of named(config.logging)) {
      this.#guard(name, () => {
        this.#loggers.set(name, open(run));
      });
    }
  }

  get takesPictures(): boolean {
    return [...this.#loggers.values()].some(({ picture }) => picture !== undefined);
  }

  log(line: MetricsLine): void {
    for (const [name, logger] of this.#loggers) this.#guard(name, () => logger.log(line));
  }

  picture(iteration: number, png: Buffer | null): void {
    if (png === null) return;
    for (const [name, logger] of this.#loggers) {
      this.#guard(name, () => logger.picture?.(iteration, png));
    }
  }

  /** Waits for what is on its way, a few seconds at most. */
  async #close(ending: Ending): Promise<void> {
    for (const [name, logger] of this.#loggers) {
      try {
        await logger.close(ending);
      } catch (error) {
        this.#lost(name, error);
      }
    }
    this.#loggers.clear();
  }

  #guard(name: string, work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#loggers.delete(name);
      this.#lost(name, error);
    }
  }

  #lost(name: string, error: unknown): void {
    this.note(
      `logging: ${name} stopped: ${reasonOf(error)}. Training goes on, and metrics.jsonl holds all.`,
    );
  }
}

function named(names: readonly LoggerName[]) {
  return LOGGERS.filter(({ name }) => names.includes(name));
}
