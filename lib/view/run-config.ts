import { parse } from 'yaml';
import { reasonOf } from '../experiment/errors.js';
import type { RunConfig } from './api.js';
import { readText } from './files.js';

/** As much of a configuration as lists show; what a newer version stored is no fault. */
export interface ConfigFacts {
  framework: string | null;
  model: string | null;
  iterations: number | null;
  /** In a training step. */
  images: number | null;
}

/** A run's config.yaml as it stands: of another version it may hold what this one does not know. */
export async function readRunConfig(file: string): Promise<RunConfig & { facts: ConfigFacts }> {
  const nothing = { framework: null, model: null, iterations: null, images: null };
  try {
    const text = await readText(file);
    if (text === null) {
      return {
        values: {},
        facts: nothing,
        problem: `${file} is not there: the run was moved or removed.`,
      };
    }
    const value: unknown = parse(text);
    const values = Object.fromEntries(flattened(value));
    return { values, facts: factsOf(values), problem: null };
  } catch (error) {
    return { values: {}, facts: nothing, problem: `${file} cannot be read: ${reasonOf(error)}` };
  }
}

function factsOf(values: Readonly<Record<string, string>>): ConfigFacts {
  const of = (...keys: string[]) =>
    keys.map((key) => values[key]).find((value) => value !== undefined) ?? null;
  const whole = (key: string) => (/^\d+$/.test(values[key] ?? '') ? Number(values[key]) : null);
  const labelled = whole('batch.labelled');
  return {
    framework: of('framework.name', 'framework'),
    model: of('model.name', 'model'),
    iterations: whole('iterations'),
    images: labelled === null ? null : labelled + (whole('batch.unlabelled') ?? 0),
  };
}

/** Lists of plain values stay on one line. */
function flattened(value: unknown, path = ''): [string, string][] {
  if (typeof value !== 'object' || value === null)
    return path === '' ? [] : [[path, textOf(value)]];
  if (Array.isArray(value)) {
    const plain = value.every(
      (item) => typeof item !== 'object' || item === null || Array.isArray(item),
    );
    if (plain) return [[path, JSON.stringify(value)]];
  }
  const entries = Object.entries(value);
  if (entries.length === 0) return [[path, '{}']];
  return entries.flatMap(([key, inner]) => flattened(inner, path === '' ? key : `${path}.${key}`));
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
}
