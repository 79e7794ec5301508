/** Ways to learn segmentation from few labels and with missing modalities, and their parts. */

export {
  CLASS_WEIGHTINGS,
  type ClassWeighting,
  checkClassWeights,
  classWeightsOf,
} from './class-weights.js';
export { EmaTeacher, emaFactor, horizonDecay, type StaticMove } from './ema.js';
export { LearningError } from './errors.js';
export {
  type AnyDraw,
  defineFramework,
  type Framework,
  type FrameworkContext,
  type FrameworkDescriptor,
  type FrameworkSteps,
  joinBatches,
  type Networks,
  type StepDraw,
  type StepLosses,
  type TrainingBatch,
} from './framework.js';
export {
  createFramework,
  type FrameworkInput,
  type FrameworkName,
  frameworkNamed,
  frameworkNames,
  frameworks,
  modalitiesRefused,
} from './frameworks/registry.js';
export {
  type GroupOptions,
  type ParameterGroup,
  parameterGroups,
  trainableGroups,
} from './groups.js';
export { type Labelled, Labelling, pseudoLabels } from './labelling.js';
export {
  type AbsentHeads,
  allHeads,
  minKeptPixels,
  type OhemOptions,
  ohemCrossEntropy,
  pseudoLoss,
  pseudoWeight,
  semiSupervisedLosses,
  supervisedLoss,
  totalLoss,
  withDice,
  withPenalty,
} from './losses.js';
export { type MaskDraw, maskWeights, seededMasks, unmasked } from './masking.js';
export {
  type ConfidenceSchedule,
  type Fidelity,
  type LearningOptions,
  type LearningOptionsInput,
  resolveLearningOptions,
  scheduledConfidence,
} from './options.js';
export { ALONE, type Collectives, type Peers, peersOf } from './peers.js';
export { Labeller, type Lesson, type Taught } from './pseudo-labels.js';
export type { Execution } from './step/create-step.js';
export { CapturedReplay } from './step/replay.js';
export { StaticStep } from './step/static-step.js';
export type {
  Health,
  TrainerOptimizer,
  TrainingStep,
} from './step/training-step.js';
export { drawBoxes, jitterColours, mixBoxes } from './student-view.js';
export { classCounts, TeacherRecord } from './teacher-record.js';
export {
  type StepReport,
  Trainer,
  type TrainerOptions,
  type TrainerState,
} from './trainer.js';
