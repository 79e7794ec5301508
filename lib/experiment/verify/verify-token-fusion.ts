import { z } from 'zod';
import type { SegmentationModel } from '../../models/index.js';
import { ScorePredictor } from '../../models/token-fusion.js';
import type { HookHandle } from '../../nn/hooks.js';
import type { Tensor } from '../../torch/index.js';
import * as torch from '../../torch/index.js';
import { BOUNDS, type Comparison } from './comparison.js';
import type { GoldenFile } from './golden-file.js';
import { goldenModel, goldenState, modalitySpecs } from './golden-model.js';
import { compareGradients } from './parameters.js';
import {
  compareLoss,
  compareOhemLoss,
  comparePredictions,
  wholeModelFacts,
} from './whole-model.js';

const facts = wholeModelFacts.extend({ mask_threshold: z.number().default(0.02) });

/**
 * TokenFusion with or without mask tokens: predictions with everything, and masked; the scores; the
 * penalty, the loss with it and its gradients.
 */
export function verifyTokenFusion(file: GoldenFile, compare: Comparison, device: string): void {
  const given = file.facts(facts);
  const { backbone, mask_threshold: scoreThreshold, masked_branches } = given;
  // What is not said is the model's own; the penalty is compared unweighted.
  const { l1_lambda: l1Lambda = 1e-4 } = given;
  const options = { scoreThreshold, l1Lambda };
  const state = goldenState(file, 'state.');
  const model = goldenModel(file, state, { model: 'token-fusion', backbone, options, device });
  try {
    model.eval();
    const specs = modalitySpecs(file, 'input.', model.modalities);
    const modalities = specs.map(({ name }) => name);
    const inputs = modalities.map((name) => file.tensor(`input.${name}`).to({ device }));
    const heads = [...modalities, 'ensemble'];

    const hooks = compareScores(file, compare, model, modalities);
    const full = model.forward(inputs);
    for (const hook of hooks) hook.remove();
    comparePredictions(file, compare, 'full.', heads, full);
    const batch = inputs[0]!.shape[0]!;
    compareLoss(file, compare, 'l1_penalty', full.penalty!.mul(batch / l1Lambda));
    const loss = compareOhemLoss(file, compare, 'full.ohem_loss', full, given);
    if (loss) {
      const total = loss.add(full.penalty!);
      compareLoss(file, compare, 'full.total_loss', total);
      total.backward();
      if (file.under('grad.').length > 0) compareGradients(file, compare, 'grad.', model);
    }
    if (file.under('masked.').length === 0) return;
    if (!masked_branches) throw file.malformed("'masked_branches' is missing in the metadata");
    const masked = torch.noGrad(() => model.forward(inputs, { masked: masked_branches }));
    comparePredictions(file, compare, 'masked.', heads, masked);
  } finally {
    model.dispose();
  }
}

/** Hooks that compare the scores of each block, `score.stageS.blockK.MODALITY`, as they are made. */
function compareScores(
  file: GoldenFile,
  compare: Comparison,
  model: SegmentationModel,
  modalities: readonly string[],
): HookHandle[] {
  const predictors = model.modules().filter((module) => module instanceof ScorePredictor);
  return predictors.map((predictor, stage) => {
    let block = 0;
    return predictor.registerForwardHook((_, __, output) => {
      const streams = (output as Tensor).chunk(modalities.length, 0);
      for (const [m, modality] of modalities.entries()) {
        const name = `score.stage${stage + 1}.block${block}.${modality}`;
        if (!file.has(name)) continue;
        compare.tensor('scores', name, streams[m]!, file.tensor(name), BOUNDS.prediction);
      }
      block++;
    });
  });
}
