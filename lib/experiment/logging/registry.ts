import { csv } from './csv.js';
import type { LoggerDescriptor } from './logger.js';
import { mlflow } from './mlflow.js';
import { tensorboard } from './tensorboard.js';

/** Every logger, for `logging` to name. */
export const LOGGERS = [csv, tensorboard, mlflow] as const satisfies readonly LoggerDescriptor[];

export type LoggerName = (typeof LOGGERS)[number]['name'];

export const LOGGER_NAMES = LOGGERS.map(({ name }) => name);
