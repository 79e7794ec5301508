export { AdamW, type AdamWOptions } from './adamw.js';
export {
  type Group,
  type MovingAverage,
  Optimizer,
  type ParameterGroups,
  type StaticUpdate,
  type UpdateLists,
} from './optimizer.js';
export { PolySchedule, type PolyScheduleOptions } from './poly-schedule.js';
export { SGD, type SGDOptions } from './sgd.js';
export { OptimizerError, type OptimizerState } from './state.js';
