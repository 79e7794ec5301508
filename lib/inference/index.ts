/** Trained models made ready to predict. */
export {
  type InferenceOptions,
  type InferenceView,
  optimizeForInference,
} from './optimize.js';
