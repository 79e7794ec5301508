export * from './activation.js';
export { ModuleDict, ModuleList, Sequential } from './container.js';
export * from './conv.js';
export { Dropout, Dropout2d, DropPath } from './dropout.js';
export * from './embedding.js';
export * as functional from './functional.js';
export * from './group-norm.js';
export * as init from './init.js';
export { Linear, linear } from './linear.js';
export * from './loss.js';
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
export * from './padding.js';
export * from './pooling.js';
export * from './recurrent.js';
export * from './resize.js';
export * from './shape.js';
