export { GELU, Identity, ReLU } from './activation.js';
export { ModuleDict, ModuleList, Sequential } from './container.js';
export { Conv2d, type Conv2dOptions } from './conv.js';
export { Dropout, Dropout2d, DropPath } from './dropout.js';
export * as init from './init.js';
export { Linear, linear } from './linear.js';
export {
  buffer,
  type Layer,
  type LoadResult,
  Module,
  type MoveOptions,
  parameter,
  persistent,
  type StateDict,
  StateDictError,
  stateName,
} from './module.js';
export { BatchNorm2d, freezeBatchNorm, LayerNorm, movingBuffers } from './norm.js';
