import { basename, join } from 'node:path';
import { z } from 'zod';
import { parseText, readText } from '../config/read.js';
import { layoutSchema } from '../config/schema.js';
import { childOf, isRecord, keysOf, type Schema } from '../config/shape.js';

/** What a list of runs tells of a configuration. */
const toldSchema = z.object({
  framework: z.object({ name: z.string() }),
  model: z.object({ name: z.string() }),
  iterations: z.number(),
  data: z.object({ root: z.string().optional(), rooms: z.unknown().optional() }),
});

/** A stored configuration, as far as lists tell of it. */
export interface StoredFacts {
  framework: string;
  model: string;
  /** `rooms`, or the name of the data's folder. */
  data: string;
  /** The data's folder; null for rooms. */
  root: string | null;
  iterations: number;
  /** A key that this version does not know: the run is of a newer one. */
  foreign: string | null;
}

/** The values of the configuration that a run stored, unchecked. */
export function storedValues(folder: string): unknown {
  const file = join(folder, 'config.yaml');
  return parseText(readText(file), file).value;
}

/**
 * Reads what a run stored without checking all of it: a thousand take a second.
 * @throws ConfigError M3L_CONFIG_MISSING, M3L_CONFIG_SYNTAX; Error naming what is missing
 */
export function storedFacts(folder: string): StoredFacts {
  const values = storedValues(folder);
  const result = toldSchema.safeParse(values);
  if (!result.success) {
    const { path, message } = result.error.issues[0]!;
    throw new Error(`config.yaml: ${path.join('.') || 'the whole'}: ${message}`);
  }
  const { framework, model, iterations, data } = result.data;
  const root = data.rooms === undefined ? (data.root ?? null) : null;
  return {
    framework: framework.name,
    model: model.name,
    data: root === null ? 'rooms' : basename(root),
    root,
    iterations,
    foreign: foreignKey(values, layoutSchema),
  };
}

/** The first key that a schema does not have; of values whose names are the user's none is. */
function foreignKey(value: unknown, schema: Schema | undefined, prefix = ''): string | null {
  if (schema === undefined || !isRecord(value)) return null;
  const known = keysOf(schema);
  for (const [key, entry] of Object.entries(value)) {
    const path = prefix === '' ? key : `${prefix}.${key}`;
    if (known.length > 0 && !known.includes(key)) return path;
    const found = foreignKey(entry, childOf(schema, key), path);
    if (found !== null) return found;
  }
  return null;
}
