import { resolve } from 'node:path';
import { ConfigError } from '../errors.js';
import { isRecord, mapRecord } from './shape.js';

/** `$${` is `${` as it stands; `${NAME}` and `${NAME:-default}` are variables of the environment. */
const VARIABLE = /\$\$\{|\$\{(\w+)(?::-([^}]*))?\}/g;

/**
 * Puts the environment's variables into all texts of a value, once: what a variable holds is not
 * looked at again.
 *
 * @param place names the file in messages
 * @throws ConfigError M3L_CONFIG_ENVIRONMENT
 */
export function expandEnvironment(value: unknown, place: string): unknown {
  if (typeof value === 'string') return value.replace(VARIABLE, (...match) => expand(match, place));
  if (Array.isArray(value)) return value.map((entry) => expandEnvironment(entry, place));
  if (!isRecord(value)) return value;
  return mapRecord(value, (entry) => expandEnvironment(entry, place));
}

function expand([whole, variable, fallback]: (string | undefined)[], place: string): string {
  if (variable === undefined) return '${';
  const set = process.env[variable];
  // A path in the environment is relative to where the command runs.
  if (set) return /^\.\.?(\/|$)/.test(set) ? resolve(set) : set;
  if (fallback !== undefined) return fallback;
  throw new ConfigError(
    'M3L_CONFIG_ENVIRONMENT',
    `${place}: ${whole} names the environment variable ${variable}, which is not set. Set it, or write \${${variable}:-default}; $\${ stands for $\{ itself.`,
  );
}

/** The value with every text so written that `expandEnvironment` gives it back. */
export function escapeEnvironment(value: unknown): unknown {
  if (typeof value === 'string') return value.replaceAll('${', () => '$${');
  if (Array.isArray(value)) return value.map(escapeEnvironment);
  if (!isRecord(value)) return value;
  return mapRecord(value, escapeEnvironment);
}
