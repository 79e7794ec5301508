export { AdamW, type AdamWOptions } from './adamw.js';
export {
  type Group,
  Optimizer,
  OptimizerError,
  type OptimizerState,
  type ParameterGroups,
} from './optimizer.js';
export { PolySchedule, type PolyScheduleOptions } from './poly-schedule.js';
export { SGD, type SGDOptions } from './sgd.js';
