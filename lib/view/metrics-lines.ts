import { z } from 'zod';
import type { MetricsLine } from '../experiment/index.js';
import type { LatestEvaluation } from './api.js';

const number = z.number().nullable().catch(null);
const text = z.string().max(1000);

const binSchema = z.object({ pixels: z.number(), confidence: number, accuracy: number });

const caseSchema = z.object({
  name: text,
  missing: z.array(text).catch([]),
  meanIoU: number.default(null),
  pixelAccuracy: number.default(null),
  classIoU: z.array(number).catch([]),
  calibrationError: z.number().optional().catch(undefined),
  reliability: z.array(binSchema).optional().catch(undefined),
});

const evaluationSchema = z.object({
  iteration: z.int(),
  images: number.default(null),
  classes: z.array(text).catch([]),
  models: z
    .array(
      z.object({
        heads: z.array(
          z.object({ head: text, robustMeanIoU: number.default(null), cases: z.array(caseSchema) }),
        ),
      }),
    )
    .min(1),
});

/** The headline network's part of an evaluation; null of one of another shape. */
export function latestOf(line: MetricsLine): LatestEvaluation | null {
  const { data } = evaluationSchema.safeParse(line);
  if (data === undefined) return null;
  const { models, ...rest } = data;
  // The ensemble, which is the last, stands for the whole: first.
  return { ...rest, heads: [...models[0]!.heads].reverse() };
}

/** mIoU of the headline's ensemble by case. */
export function caseMeans(latest: LatestEvaluation | null): Record<string, number | null> {
  const cases = latest?.heads[0]?.cases ?? [];
  return Object.fromEntries(cases.map(({ name, meanIoU }) => [name, meanIoU]));
}

/** The numbers of a line by name; parts of a part with a dot between. Lists by class are left out. */
export function curvesOf(line: MetricsLine, images: number | null): Record<string, number | null> {
  const { kind: _, iteration: __, learningRates, seconds, waitSeconds, ...rest } = line;
  const values: Record<string, number | null> = {};
  for (const [name, value] of Object.entries(rest)) {
    if (isNumber(value)) values[name] = value;
    else if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      for (const [part, inner] of Object.entries(value)) {
        if (isNumber(inner)) values[`${name}.${part}`] = inner;
      }
    }
  }
  if (Array.isArray(learningRates)) {
    const rates = [...new Set(learningRates.filter(isNumber))];
    for (const [index, rate] of rates.entries()) values[`learningRate.${index + 1}`] = rate;
  }
  const took = Number(seconds ?? 0) + Number(waitSeconds ?? 0);
  if (images !== null && took > 0) values.imagesPerSecond = images / took;
  return values;
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}
