import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { statIfThere } from '../torch/stat.js';
import { readJsonFile } from './json-file.js';

export const FACTS = 'checkpoint.json';
const STEP = /^step-\d+$/;

/** Of the configuration as much as tells models apart; `resolveConfig` has checked all of it. */
const config = z.looseObject({
  model: z.looseObject({ name: z.string() }),
  data: z.looseObject({ modalities: z.record(z.string(), z.unknown()) }),
});

const factsSchema = z.object({
  format: z.literal(1),
  iteration: z.int().nonnegative(),
  score: z.number().nullable(),
  config,
  meta: z.unknown(),
});

const trainingSchema = z.object({
  iteration: z.int().nonnegative(),
  seed: z.number(),
  framework: z.string(),
  optimizer: z.object({
    algorithm: z.string(),
    groups: z.array(z.record(z.string(), z.unknown())),
  }),
});

/** What of a checkpoint is no tensor. */
export type Facts = z.infer<typeof factsSchema>;

/** @throws Error naming the first key of another shape */
export function readFacts(path: string): Facts {
  return checked(factsSchema, readJsonFile(join(path, FACTS)), '');
}

/**
 * The trainer's part of a checkpoint's facts.
 * @throws Error naming the first key of another shape
 */
export function trainingFacts({ meta, iteration }: { meta: unknown; iteration: number }) {
  const training = checked(trainingSchema, meta, 'meta');
  if (training.iteration !== iteration) {
    throw new Error(`meta.iteration is ${training.iteration}, expected ${iteration} as iteration`);
  }
  return training;
}

/** Names of the complete checkpoints, oldest first. */
export function stepsIn(folder: string): string[] {
  if (!statIfThere(folder)?.isDirectory()) return [];
  return readdirSync(folder)
    .filter((name) => STEP.test(name) && existsSync(join(folder, name, FACTS)))
    .sort((a, b) => Number(a.slice(5)) - Number(b.slice(5)));
}

/**
 * The checkpoint with the highest score, of several the earliest; null where none has a score.
 * Each checkpoint holds its own score, so that no kill can part the two.
 */
export function bestIn(folder: string): { name: string; score: number } | null {
  let best: { name: string; score: number } | null = null;
  for (const name of stepsIn(folder)) {
    const score = scoreIn(join(folder, name));
    if (score !== null && (best === null || score > best.score)) best = { name, score };
  }
  return best;
}

/** Null for a damaged one too: whoever loads it is told. */
function scoreIn(path: string): number | null {
  try {
    return readFacts(path).score;
  } catch {
    return null;
  }
}

function checked<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  at: string,
): z.infer<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const { path, message } = result.error.issues[0]!;
  const key = [...(at === '' ? [] : [at]), ...path].join('.');
  throw new Error(`${FACTS}: ${key === '' ? 'the whole' : key}: ${message}`);
}
