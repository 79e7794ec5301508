import type { Config } from './config/config.js';
import { RunError } from './errors.js';
import type { RunFolder } from './run-folder.js';

/** Keys that change nothing about the weights that come out. */
const FREE = /^(name|threads|workers|device|cudaGraph$|checkpoint\.|evaluate\.|data\.root$)/;

/**
 * The configuration a run goes on with: its own, with what may change taken from `wanted` (or from
 * `--set` alone).
 *
 * @throws RunError M3L_RESUME_CONFIG naming every key that must not change
 */
export function resumeConfig(
  run: RunFolder,
  wanted: Config | undefined,
  sets: readonly string[] = [],
): Config {
  const own = run.config();
  const asked = wanted ?? run.config(sets);
  const [before, after] = [flatten(own), flatten(asked)];
  const changed = [...new Set([...before.keys(), ...after.keys()])].filter(
    (key) => before.get(key) !== after.get(key) && !FREE.test(key),
  );
  if (changed.length > 0) {
    throw new RunError(
      'M3L_RESUME_CONFIG',
      `${run.path} cannot be resumed with another configuration: ${changed
        .map((key) => `${key} was ${before.get(key) ?? 'unset'}, is ${after.get(key) ?? 'unset'}`)
        .join('; ')}. Leave that as it was, or start a new run.`,
    );
  }
  return { ...asked, name: own.name };
}

function flatten(value: unknown, prefix = ''): Map<string, string> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return new Map(value === undefined ? [] : [[prefix, JSON.stringify(value)]]);
  }
  return new Map(
    Object.entries(value).flatMap(([key, entry]) => [
      ...flatten(entry, prefix === '' ? key : `${prefix}.${key}`),
    ]),
  );
}
