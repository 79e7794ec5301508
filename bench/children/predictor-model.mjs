// What the worker of the case event-loop-predictor holds.
import { optimizeForInference } from '../../dist/inference/index.js';
import { createModel } from '../../dist/models/index.js';

export default ({ options, state }) => {
  const model = createModel(options);
  model.loadStateDict(state, { assign: true });
  return optimizeForInference(model);
};
