import { z } from 'zod';
import { IGNORE_LABEL } from '../../data/index.js';
import { ohemCrossEntropy } from '../../learning/index.js';
import { BOUNDS, type Comparison } from './comparison.js';
import type { GoldenFile } from './golden-file.js';

const caseFacts = z.object({
  thresh: z.number(),
  min_kept: z.int().nonnegative(),
  ignore: z.int().default(IGNORE_LABEL),
});

/** Cases `N.logits`, `N.labels`, `N.loss`, and `N.grad` where there is one. */
export function verifyOhem(file: GoldenFile, compare: Comparison, device: string): void {
  const cases = file.names.filter((name) => name.endsWith('.logits')).map((n) => n.slice(0, -7));
  if (cases.length === 0) throw file.malformed("there is no case (no tensor '0.logits')");
  const facts = file.facts(z.object(Object.fromEntries(cases.map((id) => [id, caseFacts]))));
  for (const id of cases) {
    const { thresh, min_kept, ignore } = facts[id]!;
    const logits = file.tensor(`${id}.logits`).to({ device, copy: true }).requiresGrad_();
    const labels = file.tensor(`${id}.labels`).to({ dtype: 'int64', device });
    const options = { threshold: thresh, minKept: min_kept, ignoreIndex: ignore };
    const loss = ohemCrossEntropy(logits, labels, options);
    loss.backward();
    const gradient = logits.grad!;
    if (labels.ne(ignore).sum().item() === 0) {
      // The authors' loss is NaN where all is void; ours is 0, with zero gradients.
      compare.row('losses', `${id}.loss (all void: 0)`, Math.abs(loss.item()), BOUNDS.exact);
      const largest = gradient.abs().max().item();
      compare.row('gradients', `${id}.grad (all void: 0)`, largest, BOUNDS.exact);
      continue;
    }
    const expected = file.scalar(`${id}.loss`);
    compare.scalar('losses', `${id}.loss`, loss.item(), expected, BOUNDS.loss);
    if (!file.has(`${id}.grad`)) continue;
    const wanted = file.tensor(`${id}.grad`);
    compare.tensor('gradients', `${id}.grad`, gradient, wanted, BOUNDS.gradient);
  }
}
