import { z } from 'zod';
import type { ModelName, SegmentationModel } from '../../models/index.js';
import * as nn from '../../nn/index.js';
import type { Tensor } from '../../torch/index.js';
import * as torch from '../../torch/index.js';
import type { Comparison } from './comparison.js';
import type { GoldenFile } from './golden-file.js';
import { goldenModel, goldenState, modalitySpecs } from './golden-model.js';
import { compareGradients, compareSummaries } from './parameters.js';
import {
  compareLoss,
  compareOhemLoss,
  comparePredictions,
  wholeModelFacts,
} from './whole-model.js';

const facts = wholeModelFacts.extend({ exchange_threshold: z.number().optional() });

/** Where in a model the features are that files name without it. */
const PLACES = ['model.', 'backbone.', 'head.', ''];

/**
 * A convolutional model: predictions and features in evaluation; the loss and its gradients with
 * BatchNorms at their running statistics (`frozen.*`, `grad.*`) and at those of the batch (`live.*`),
 * and what the running statistics are afterwards.
 */
export function verifyConvolutional(
  name: ModelName,
): (file: GoldenFile, compare: Comparison, device: string) => void {
  return (file, compare, device) => {
    const given = file.facts(facts);
    const { backbone, exchange_threshold: exchangeThreshold, l1_lambda: l1Lambda } = given;
    const options = {
      ...(exchangeThreshold !== undefined && { exchangeThreshold }),
      ...(l1Lambda !== undefined && { l1Lambda }),
    };
    const state = goldenState(file, 'state.');
    const model = goldenModel(file, state, { model: name, backbone, options, device });
    try {
      const specs = modalitySpecs(file, 'input.', model.modalities);
      const modalities = specs.map((spec) => spec.name);
      const inputs = modalities.map((each) => file.tensor(`input.${each}`).to({ device }));
      const heads = modalities.length === 1 ? ['pred', 'pred'] : [...modalities, 'ensemble'];

      model.eval();
      torch.scope(() => {
        const hooks = compareFeatures(file, compare, model, modalities);
        const full = torch.noGrad(() => model.forward(inputs));
        for (const hook of hooks) hook.remove();
        comparePredictions(file, compare, 'full.', heads, full);
      });
      model.train();
      for (const [prefix, gradients] of [
        ['frozen.', 'grad.'],
        ['live.', 'live.grad.'],
      ] as const) {
        if (file.under(prefix).length === 0) continue;
        setFrozen(model, prefix === 'frozen.');
        model.zeroGrad();
        torch.scope(() => {
          const prediction = model.forward(inputs);
          comparePredictions(file, compare, prefix, heads, prediction);
          const { penalty } = prediction;
          if (penalty && l1Lambda) compareLoss(file, compare, 'l1_penalty', penalty.div(l1Lambda));
          const loss = compareOhemLoss(file, compare, `${prefix}ohem_loss`, prediction, given);
          if (!loss) return;
          const total = penalty ? loss.add(penalty) : loss;
          compareLoss(file, compare, `${prefix}total_loss`, total);
          total.backward();
          compareGradients(file, compare, gradients, model);
        });
      }
      const buffers = new Map(model.namedBuffers().map(([key, buffer]) => [key, buffer.flatten()]));
      compareSummaries(file, compare, { prefix: 'live.after.', group: 'statistics' }, buffers);
    } finally {
      model.dispose();
    }
  };
}

/** Hooks that compare the features of each modality as they are made. */
function compareFeatures(
  file: GoldenFile,
  compare: Comparison,
  model: SegmentationModel,
  modalities: readonly string[],
): nn.HookHandle[] {
  const wanted = new Set(file.under('feature.').map((key) => key.replace(/#.*/, '')));
  const places = new Set([...wanted].map((key) => key.replace(/\.\w+$/, '')));
  const modules = new Map(model.namedModules());
  return [...places].map((place) => {
    const module = PLACES.map((prefix) => modules.get(prefix + place)).find((each) => each);
    if (module === undefined) throw file.malformed(`'feature.${place}' is of no part of the model`);
    return module.registerForwardHook((_, __, output) => {
      const streams = (output as Tensor).chunk(modalities.length, 0);
      const named = streams.map((stream, m): [string, Tensor] => {
        const key = wanted.has(place) ? place : `${place}.${modalities[m]}`;
        return [key, stream.flatten()];
      });
      const where = { prefix: 'feature.', only: place, group: 'features' };
      compareSummaries(file, compare, where, new Map(named));
    });
  });
}

function setFrozen(model: SegmentationModel, frozen: boolean): void {
  for (const module of model.modules()) {
    if (module instanceof nn.BatchNorm2d) module.frozen = frozen;
  }
}
