/** `nn.utils`: gradients clipped, parameters as one vector, computed from others or pruned, sequences of different lengths. */
export {
  clipGradNorm_,
  clipGradValue_,
  getTotalNorm,
  type NormOptions,
} from './utils/clip-gradients.js';
export { parametersToVector, vectorToParameters } from './utils/parameters.js';
export * as parametrizations from './utils/parametrizations.js';
export * as parametrize from './utils/parametrize.js';
export * as prune from './utils/prune.js';
export * as rnn from './utils/rnn.js';
