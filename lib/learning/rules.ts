/** What arguments of this layer's functions must be; see torch/rules.ts. */

import { modalitySpecShape } from '../data/rules.js';
import { segmentationModelShape } from '../models/rules.js';
import * as is from '../torch/rules.js';

export const peersShape = is.shape('Peers', {
  rank: is.finite,
  worldSize: is.finite,
  sum: is.callback,
  gather: is.callback,
});
export const collectivesShape = is.shape('ProcessGroup', {
  rank: is.finite,
  worldSize: is.finite,
  allReduce: is.callback,
  allGather: is.callback,
});
export const frameworkDescriptorShape = is.shape('FrameworkDescriptor', { create: is.callback });
export const frameworkInputShape = is.shape('FrameworkInput', {
  networks: is.either(is.recordOf(segmentationModelShape), is.callback),
  modalities: is.listOf(modalitySpecShape),
  peers: is.maybe(peersShape),
});
export const frameworkShape = is.shape('Framework', { draw: is.callback, losses: is.callback });
export const ohemOptionsShape = is.shape('OhemOptions', {
  threshold: is.finite,
  minKept: is.finite,
  peers: is.maybe(peersShape),
});
export const frameworkContextShape = is.shape('FrameworkContext', {
  name: is.text,
  networks: is.record,
  modalities: is.listOf(modalitySpecShape),
  options: is.record,
  masks: is.callback,
  teacherMasks: is.callback,
  seed: is.finite,
  iterations: is.finite,
  peers: peersShape,
  lossPeers: peersShape,
});
export const replayGraphShape = is.shape('ReplayGraph', {
  warmUp: is.callback,
  capture: is.callback,
});
export const trainerOptimizerShape = is.shape('TrainerOptimizer', {
  step: is.callback,
  staticUpdate: is.callback,
});
export const stepSetupShape = is.shape('StepSetup', {
  framework: frameworkShape,
  optimizer: trainerOptimizerShape,
  reportGradientNorm: is.flag,
  scalesGradients: is.flag,
  peers: is.maybe(peersShape),
});
export const trainerOptionsShape = is.shape('TrainerOptions', {
  framework: frameworkShape,
  optimizer: trainerOptimizerShape,
  source: is.callback,
  iterations: is.finite,
  peers: is.maybe(peersShape),
});
