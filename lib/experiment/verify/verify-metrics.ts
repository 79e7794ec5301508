import { z } from 'zod';
import { ConfusionMatrix } from '../../evaluation/index.js';
import { BOUNDS, type Comparison } from './comparison.js';
import type { GoldenFile } from './golden-file.js';

const caseFacts = z.object({
  num_classes: z.int().positive(),
  mean_iou: z.number().optional(),
  pixel_acc: z.number().optional(),
  mean_acc: z.number().optional(),
});

/** Cases `N.pred`, `N.labels` and `N.confusion` [label, prediction]; figures in the metadata. */
export function verifyMetrics(file: GoldenFile, compare: Comparison, device: string): void {
  const cases = file.names.filter((name) => name.endsWith('.pred')).map((n) => n.slice(0, -5));
  if (cases.length === 0) throw file.malformed("there is no case (no tensor '0.pred')");
  const facts = file.facts(z.object(Object.fromEntries(cases.map((id) => [id, caseFacts]))));
  for (const id of cases) {
    const { num_classes, mean_iou, pixel_acc, mean_acc } = facts[id]!;
    using matrix = new ConfusionMatrix(num_classes, { device });
    matrix.add(
      file.tensor(`${id}.pred`).to({ device }),
      file.tensor(`${id}.labels`).to({ device }),
    );
    if (file.has(`${id}.confusion`)) {
      const expected = file.tensor(`${id}.confusion`);
      const actual = Array.from(matrix.counts().flat());
      const flat = expected.toTypedArray();
      const differing = actual.filter((count, i) => count !== Number(flat[i])).length;
      const error = flat.length === actual.length ? differing / actual.length : Number.NaN;
      compare.row('confusion', `${id}.confusion`, error, BOUNDS.exact);
    }
    const { meanIoU, pixelAccuracy, meanClassAccuracy } = matrix.metrics();
    const figures: [string, number, number | undefined][] = [
      ['mean_iou', meanIoU, mean_iou],
      ['pixel_acc', pixelAccuracy, pixel_acc],
      ['mean_acc', meanClassAccuracy, mean_acc],
    ];
    for (const [name, actual, expected] of figures) {
      if (expected === undefined) continue;
      compare.scalar('figures', `${id}.${name}`, actual, expected, BOUNDS.metric);
    }
  }
}
