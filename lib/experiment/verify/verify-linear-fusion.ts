import { z } from 'zod';
import * as torch from '../../torch/index.js';
import type { Comparison } from './comparison.js';
import type { GoldenFile } from './golden-file.js';
import { goldenModel, goldenState, modalitySpecs } from './golden-model.js';
import { compareGradients } from './parameters.js';
import { compareOhemLoss, comparePredictions, wholeModelFacts } from './whole-model.js';

const facts = wholeModelFacts.extend({ ratio: z.number().default(0.8) });

/** A whole model: predictions with everything and masked; OHEM loss and gradients of the latter. */
export function verifyLinearFusion(file: GoldenFile, compare: Comparison, device: string): void {
  const given = file.facts(facts);
  const { backbone, ratio: fusionRatio, masked_branches } = given;
  const model = goldenModel(file, goldenState(file, 'state.'), {
    model: 'linear-fusion',
    backbone,
    options: { fusionRatio },
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
    const prediction = model.forward(inputs, { masked: masked_branches });
    comparePredictions(file, compare, 'masked.', names, prediction);
    const loss = compareOhemLoss(file, compare, 'masked.ohem_loss', prediction, given);
    if (!loss || file.under('grad.').length === 0) return;
    loss.backward();
    compareGradients(file, compare, 'grad.', model);
  } finally {
    model.dispose();
  }
}
