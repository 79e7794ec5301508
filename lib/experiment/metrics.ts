import { closeSync, fsyncSync, openSync } from 'node:fs';
import { z } from 'zod';
import { appendWhole } from '../torch/atomic-write.js';

const head = z.looseObject({ head: z.string(), cases: z.array(z.looseObject({})) });

/** As much as is read back of a line. */
const lineSchema = z.discriminatedUnion('kind', [
  z.looseObject({
    kind: z.literal('train'),
    iteration: z.int().nonnegative(),
    seconds: z.number().optional(),
    waitSeconds: z.number().optional(),
  }),
  z.looseObject({ kind: z.literal('health'), iteration: z.int().nonnegative() }),
  z.looseObject({
    kind: z.literal('evaluation'),
    iteration: z.int().nonnegative(),
    robustMeanIoU: z.number().nullable(),
    models: z.array(z.looseObject({ model: z.string(), heads: z.array(head).min(1) })).min(1),
  }),
]);

/** One line of `metrics.jsonl`: a training iteration, the health of a window of them, or an evaluation. */
export type MetricsLine = { kind: 'train' | 'health' | 'evaluation'; iteration: number } & Record<
  string,
  unknown
>;

/** Adds a line whole, or leaves the file as it was. */
export function appendMetrics(path: string, line: MetricsLine): void {
  const bytes = Buffer.from(`${JSON.stringify(line)}\n`);
  const file = openSync(path, 'a');
  try {
    appendWhole(file, bytes);
    // An evaluation may have taken minutes.
    if (line.kind === 'evaluation') fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** The lines that are whole and of the form they were written in. */
export function parseMetrics(text: string): MetricsLine[] {
  return text.split('\n').flatMap((line) => {
    try {
      const value: unknown = JSON.parse(line);
      // The value as it was written: the schema's would have its keys in another order.
      return lineSchema.safeParse(value).success ? [value as MetricsLine] : [];
    } catch {
      return [];
    }
  });
}
