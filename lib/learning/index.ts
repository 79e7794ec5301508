/** Ways to learn segmentation from few labels and with missing modalities, and their parts. */
export { freezeBatchNorm } from './batch-norm.js';
export {
  createFramework,
  FRAMEWORKS,
  type FrameworkInput,
  type FrameworkName,
} from './create-framework.js';
export type { Execution } from './create-step.js';
export { EmaTeacher, emaFactor } from './ema.js';
export { LearningError } from './errors.js';
export {
  type Fidelity,
  type LearningOptions,
  type LearningOptionsInput,
  resolveLearningOptions,
} from './fidelity.js';
export { FILLS, type Fill, fillMasked, fillModality } from './fill.js';
export {
  type AnyDraw,
  type Framework,
  type FrameworkContext,
  joinBatches,
  type StepDraw,
  type StepLosses,
  type TrainingBatch,
} from './framework.js';
export { type GroupOptions, type ParameterGroup, parameterGroups } from './groups.js';
export {
  allHeads,
  IGNORE,
  minKeptPixels,
  pseudoLoss,
  pseudoWeight,
  semiSupervisedLosses,
  supervisedLoss,
} from './losses.js';
export { type MaskDraw, maskWeights, seededMasks, unmasked } from './masking.js';
export {
  crossEntropies,
  type OhemOptions,
  ohemCrossEntropy,
  type Targets,
} from './ohem.js';
export { pseudoLabels } from './pseudo-labels.js';
export { CapturedReplay, PlainReplay, type Replay, type ReplayGraph } from './replay.js';
export { mixSeed, uniformStream } from './seed.js';
export { StaticStep } from './static-step.js';
export {
  type StepReport,
  Trainer,
  type TrainerOptions,
  type TrainerState,
} from './trainer.js';
export {
  EagerStep,
  type StepGradients,
  type StepSetup,
  type TrainerOptimizer,
  type TrainingStep,
} from './training-step.js';
