import type { SettledConfig } from '../config/config.js';
import type { MetricsLine } from '../metrics.js';

/** What a logger is told of the run that it logs. */
export interface LoggedRun {
  /** The run's folder, in which loggers keep what they write. */
  folder: string;
  config: SettledConfig;
  /** The configuration as YAML. */
  text: string;
  classes: readonly string[];
  /** Iterations that a resumed run has behind it; 0 for a new one. */
  iteration: number;
  /** What the run's log holds of them, in order. */
  earlier: readonly MetricsLine[];
  /** Tells the user something, at most a line now and then. */
  note: (text: string) => void;
}

/** How a training ended. */
export type Ending = 'finished' | 'stopped' | 'failed';

/** Writes what a training logs somewhere else too. What it throws ends the logger, never the training. */
export interface Logger {
  log(line: MetricsLine): void;
  /** A contact sheet after an evaluation, as PNG. */
  picture?(iteration: number, png: Buffer): void;
  close(ending: Ending): void | Promise<void>;
}

/** A kind of logger. */
export interface LoggerDescriptor {
  name: string;
  /** What it writes, and where. */
  summary: string;
  /** Looks at what it needs before anything is trained; throws a ConfigError that names it. */
  check?(): void;
  /** Takes up a run: what was logged after its iteration, if anything, is forgotten. */
  open(run: LoggedRun): Logger;
}
