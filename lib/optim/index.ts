export { Adadelta, type AdadeltaOptions } from './adadelta.js';
export { Adafactor, type AdafactorOptions } from './adafactor.js';
export { Adagrad, type AdagradOptions } from './adagrad.js';
export { Adam, type AdamOptions } from './adam.js';
export { Adamax, type AdamaxOptions } from './adamax.js';
export { AdamW, type AdamWOptions } from './adamw.js';
export { ASGD, type ASGDOptions } from './asgd.js';
export { GradScaler, type GradScalerOptions, type GradScalerState } from './grad-scaler.js';
export type { Group, ParameterGroups } from './groups.js';
export { LBFGS, type LBFGSOptions } from './lbfgs.js';
export {
  type AscentOptions,
  ListOptimizer,
  type ListOptions,
  type Lists,
} from './list-optimizer.js';
export { NAdam, type NAdamOptions } from './nadam.js';
export {
  type MovingAverage,
  Optimizer,
  type StaticUpdate,
  type UpdateLists,
} from './optimizer.js';
export { PolySchedule, type PolyScheduleOptions } from './poly-schedule.js';
export { RAdam, type RAdamOptions } from './radam.js';
export { RMSprop, type RMSpropOptions } from './rmsprop.js';
export { Rprop, type RpropOptions } from './rprop.js';
export {
  CosineAnnealingLR,
  CosineAnnealingWarmRestarts,
  type WarmRestartsOptions,
} from './schedules/cosine.js';
export { CyclicLR, type CyclicLROptions } from './schedules/cyclic.js';
export {
  ConstantLR,
  ExponentialLR,
  LinearLR,
  type LinearLROptions,
  MultiStepLR,
  PolynomialLR,
  StepLR,
} from './schedules/factors.js';
export {
  LambdaLR,
  type LambdaLROptions,
  MultiplicativeLR,
  type RateFunction,
} from './schedules/lambda.js';
export { OneCycleLR, type OneCycleLRGiven, type OneCycleLROptions } from './schedules/one-cycle.js';
export { type PlateauOptions, ReduceLROnPlateau } from './schedules/plateau.js';
export {
  type Schedulable,
  Schedule,
  type ScheduledGroup,
  type ScheduleState,
} from './schedules/schedule.js';
export { SequentialLR, type SequentialLROptions } from './schedules/sequential.js';
export { SGD, type SGDOptions } from './sgd.js';
export { SparseAdam, type SparseAdamOptions } from './sparse-adam.js';
export { OptimizerError, type OptimizerState, type StateNames } from './state.js';
