/** Trained models made ready to predict. */
export {
  type InferenceOptions,
  type InferenceView,
  optimizeForInference,
} from './optimize.js';
export {
  type Callable,
  type CallOptions,
  inWorker,
  type MethodOf,
  type WorkerModel,
  type WorkerOptions,
} from './worker/worker-model.js';
