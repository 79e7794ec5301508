import { z } from 'zod';
import { IGNORE_LABEL } from '../../data/index.js';
import { allHeads, supervisedLoss } from '../../learning/index.js';
import type { Prediction } from '../../models/index.js';
import * as torch from '../../torch/index.js';
import { BOUNDS, type Comparison } from './comparison.js';
import type { GoldenFile } from './golden-file.js';
import { goldenModel, goldenState, modalitySpecs } from './golden-model.js';
import { compareGradients } from './parameters.js';

const facts = z.object({
  backbone: z.string(),
  ratio: z.number().default(0.8),
  masking_ratio: z.number().default(1),
  masked_branches: z.array(z.int()).optional(),
  ohem: z
    .object({
      thresh: z.number(),
      min_kept: z.int().nonnegative(),
      ignore: z.int().default(IGNORE_LABEL),
    })
    .optional(),
});

/** A whole model: predictions with everything and masked; OHEM loss and gradients of the latter. */
export function verifyLinearFusion(file: GoldenFile, compare: Comparison, device: string): void {
  const { backbone, ratio, masking_ratio, masked_branches, ohem } = file.facts(facts);
  const model = goldenModel(file, goldenState(file, 'state.'), {
    backbone,
    fusionRatio: ratio,
    device,
  });
  try {
    model.eval();
    const specs = modalitySpecs(file, 'input.', model.modalities);
    const inputs = specs.map(({ name }) => file.tensor(`input.${name}`).to({ device }));
    const names = [...specs.map(({ name }) => name), 'ensemble'];
    if (file.under('full.').length > 0) {
      torch.scope(() => {
        const prediction = torch.noGrad(() => model.forward(inputs));
        comparePredictions(file, compare, 'full.', names, prediction);
      });
    }
    if (file.under('masked.').length === 0) return;
    if (!masked_branches) throw file.malformed("'masked_branches' is missing in the metadata");
    if (masking_ratio !== 1) {
      throw file.malformed(`masking_ratio is ${masking_ratio}: expected 1, others are random`);
    }
    const prediction = model.forward(inputs, { masked: masked_branches });
    comparePredictions(file, compare, 'masked.', names, prediction);
    if (!ohem || !file.has('input.labels')) return;
    const labels = file.tensor('input.labels').to({ dtype: 'int64', device });
    const loss = supervisedLoss(allHeads(prediction), labels, {
      threshold: ohem.thresh,
      minKept: ohem.min_kept,
      ignoreIndex: ohem.ignore,
    });
    if (file.has('masked.ohem_loss')) {
      const expected = file.scalar('masked.ohem_loss');
      compare.scalar('losses', 'masked.ohem_loss', loss.item(), expected, BOUNDS.loss);
    }
    if (file.under('grad.').length === 0) return;
    loss.backward();
    compareGradients(file, compare, 'grad.', model);
  } finally {
    model.dispose();
  }
}

function comparePredictions(
  file: GoldenFile,
  compare: Comparison,
  prefix: string,
  names: readonly string[],
  { heads, ensemble }: Prediction,
): void {
  for (const [index, logits] of [...heads, ensemble].entries()) {
    const name = prefix + names[index];
    if (!file.has(name)) continue;
    compare.tensor('predictions', name, logits, file.tensor(name), BOUNDS.prediction);
  }
}
