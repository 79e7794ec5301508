import { checkArguments } from '../torch/check-arguments.js';
import * as is from '../torch/rules.js';
import type { Config, SettledConfig } from './config/config.js';
import { flattened } from './config/flattened.js';
import { completed } from './config/follow-data.js';
import { RunError } from './errors.js';
import { configShape, runFolderShape } from './rules.js';
import type { RunFolder } from './run-folder.js';

/**
 * What may change when a run goes on. Without a note: what the weights do not depend on. With one:
 * what is allowed and changes numbers, which is said. `iterations` may grow, see below; everything
 * else makes another training, and is refused.
 */
const FREE: readonly { keys: RegExp; note?: string }[] = [
  {
    keys: /^(name|workers|logging|checkpoint\..*|evaluate\..*|data\.(root|rooms\.test)|data\.palette(\..*)?)$/,
  },
  // Both are read where training starts, never after.
  { keys: /^(initialise|model\.pretrained)$/ },
  {
    keys: /^(threads|device|precision|channelsLast|cudaGraph|data\.augmentOn)$/,
    note: 'not bit for bit as in one go: the rounding differs',
  },
  {
    keys: /^data\.lists\.\w+\.file$/,
    note: 'as in one go only where the list holds the same samples in the same order',
  },
];

/** The configuration to go on with, and what its user should know of what changed. */
export interface Resumed {
  config: SettledConfig;
  notes: string[];
}

/**
 * The configuration a run goes on with: its own, with what may change taken from `wanted` (or from
 * `--set` alone). What `wanted` leaves open stays as the run has it. More iterations than the run's may be asked for: the schedule then goes on over
 * the new total.
 *
 * @throws RunError M3L_RESUME_CONFIG naming every key that must not change
 */
export function resumeConfig(
  run: RunFolder,
  wanted: Config | undefined,
  sets: readonly string[] = [],
): Resumed {
  checkArguments(
    'resumeConfig',
    { run, wanted, sets },
    { run: runFolderShape, wanted: is.maybe(configShape), sets: is.listOf(is.text) },
  );

  const own = run.config();
  const asked = wanted === undefined ? run.config(sets) : completed(wanted, own);
  const [before, after] = [flattened(own), flattened(asked)];
  const refused: string[] = [];
  const notes: string[] = [];
  for (const key of new Set([...before.keys(), ...after.keys()])) {
    const [was, is] = [before.get(key) ?? 'unset', after.get(key) ?? 'unset'];
    if (was === is) continue;
    const free = FREE.find(({ keys }) => keys.test(key));
    if (key === 'iterations' && asked.iterations > own.iterations) {
      notes.push(
        `Goes on with iterations ${was} → ${is}: the schedule goes on over the new total, so the weights are not those of a run of ${is} in one go.`,
      );
    } else if (free === undefined) refused.push(`${key} was ${was}, is ${is}`);
    else if (free.note !== undefined) {
      notes.push(`Goes on with ${key} ${was} → ${is}: ${free.note}.`);
    }
  }
  if (refused.length > 0) {
    throw new RunError(
      'M3L_RESUME_CONFIG',
      `${run.path} cannot be resumed with another configuration: ${refused.join('; ')}. Leave that as it was (iterations may only grow), or start a new run.`,
    );
  }
  return { config: { ...asked, name: own.name }, notes };
}
