/** What arguments of this layer's functions must be; see torch/rules.ts. */

import { modalitySpecShape } from '../data/rules.js';
import { segmentationModelShape } from '../models/rules.js';
import * as is from '../torch/rules.js';

/** What every function reads of a configuration; `checkConfig` looks at all of it. */
export const configShape = is.shape('Config', {
  seed: is.finite,
  device: is.text,
  data: is.shape('options', { modalities: is.record }),
  model: is.shape('options', { name: is.text }),
  framework: is.shape('options', { name: is.text }),
  evaluate: is.record,
});
export const compareOptionsShape = is.shape('CompareOptions', {
  config: is.text,
  frameworks: is.listOf(is.text),
  seeds: is.listOf(is.finite),
  folder: is.text,
});
export const runScoreShape = is.shape('RunScore', {
  fill: is.anything,
  robustMeanIoU: is.anything,
  cases: is.anything,
});
export const datasetsShape = is.shape('Datasets', { batch: is.callback, prepare: is.callback });
export const runFolderShape = is.shape('RunFolder', { lock: is.callback, begin: is.callback });
export const predictOptionsShape = is.shape('PredictOptions', {
  images: is.recordOf(is.text),
  out: is.text,
});
export const networkFactsShape = is.shape('NetworkFacts', {
  modalities: is.finite,
  numClasses: is.finite,
  hasMaskToken: is.flag,
  leastSide: is.finite,
  specs: is.listOf(modalitySpecShape),
  classes: is.listOf(is.text),
  colours: is.listOf(is.list),
  loading: is.record,
});
export const verifyRowShape = is.shape('VerifyRow', {
  name: is.text,
  group: is.text,
  error: is.number,
  bound: is.number,
  ok: is.flag,
});
export const checkOptionsShape = is.shape('CheckOptions', { config: configShape });
export const checkpointShape = is.shape('Checkpoint', {
  iteration: is.finite,
  config: configShape,
  tensors: is.recordOf(is.tensor),
  meta: is.anything,
  score: is.orNull(is.number),
});
export const comparedRunShape = is.shape('ComparedRun', {
  framework: is.text,
  seed: is.finite,
  run: is.text,
  scores: is.listOf(runScoreShape),
  samples: is.orNull(is.text),
  seconds: is.finite,
});
export const evaluateNetworksOptionsShape = is.shape('EvaluateNetworksOptions', {
  config: configShape,
  networks: is.recordOf(segmentationModelShape),
  datasets: datasetsShape,
  iteration: is.finite,
});
export const pretrainOptionsShape = is.shape('PretrainOptions', {
  config: configShape,
  run: runFolderShape,
});
export const trainOptionsShape = is.shape('TrainOptions', {
  config: configShape,
  run: runFolderShape,
});
