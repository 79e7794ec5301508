import type { ForwardOptions } from '../../models/index.js';
import * as torch from '../../torch/index.js';
import type { Comparison } from './comparison.js';
import type { GoldenFile } from './golden-file.js';
import { goldenModel, goldenState, modalitySpecs } from './golden-model.js';
import { compareGradients } from './parameters.js';
import { compareOhemLoss, comparePredictions, wholeModelFacts } from './whole-model.js';

const facts = wholeModelFacts.extend({ grad_of: wholeModelFacts.shape.backbone.optional() });

/**
 * Unified representation: predictions and losses with everything, where every sample lost one modality
 * (`rgb_dropped.*`), and with `masked_branches`; the gradients of the one that the file names.
 */
export function verifyUnifiedRepresentation(
  file: GoldenFile,
  compare: Comparison,
  device: string,
): void {
  const given = file.facts(facts);
  const { backbone, masked_branches, grad_of: differentiated } = given;
  const state = goldenState(file, 'state.');
  const model = goldenModel(file, state, { model: 'unified-representation', backbone, device });
  try {
    const specs = modalitySpecs(file, 'input.', model.modalities);
    const inputs = specs.map(({ name }) => file.tensor(`input.${name}`).to({ device }));
    const batch = inputs[0]!.shape[0]!;
    const cases: [name: string, options: ForwardOptions][] = [
      ['full', {}],
      ...specs.map(({ name }, m): [string, ForwardOptions] => {
        return [`${name}_dropped`, { masked: new Array<number>(batch).fill(m) }];
      }),
    ];
    if (masked_branches) cases.push(['masked', { masked: masked_branches }]);
    for (const [name, options] of cases) {
      if (file.under(`${name}.`).length === 0) continue;
      torch.scope(() => {
        const prediction = model.forward(inputs, options);
        comparePredictions(file, compare, `${name}.`, ['pred'], prediction);
        const loss = compareOhemLoss(file, compare, `${name}.ohem_loss`, prediction, given);
        if (!loss || differentiated !== `${name}.ohem_loss`) return;
        loss.backward();
        compareGradients(file, compare, 'grad.', model);
      });
    }
  } finally {
    model.dispose();
  }
}
