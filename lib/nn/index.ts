export * from './activation.js';
export * from './adaptive-softmax.js';
export * from './attention.js';
export type { BackwardHook, BackwardPreHook, Gradients } from './backward-hooks.js';
export * from './batch-norm.js';
export * from './bilinear.js';
export { ModuleDict, ModuleList, ParameterDict, ParameterList, Sequential } from './container.js';
export * from './conv.js';
export * from './distance.js';
export * from './dropout.js';
export * from './embedding.js';
export * as functional from './functional.js';
export type { ForwardHook, ForwardPreHook, HookHandle } from './hooks.js';
export * as init from './init.js';
export * from './lazy.js';
export { Linear, linear } from './linear.js';
export { LinearCrossEntropyLoss } from './linear-cross-entropy.js';
export * from './loss.js';
export { type Layer, Module } from './module.js';
export type { MoveOptions } from './move.js';
export * from './norm.js';
export * from './padding.js';
export { buffer, parameter, persistent } from './parameter.js';
export * from './pooling.js';
export * from './recurrent.js';
export * from './recurrent-cell.js';
export * from './resize.js';
export * from './shape.js';
export { type LoadResult, type StateDict, StateDictError } from './state-dict.js';
export type {
  LoadStateDictPostHook,
  LoadStateDictPreHook,
  StateDictPostHook,
  StateDictPreHook,
} from './state-hooks.js';
export type { StatisticsGroup } from './synchronised-batch-norm.js';
export * from './transformer.js';
export {
  type DecoderMasks,
  type EncoderMasks,
  TransformerDecoderLayer,
  TransformerEncoderLayer,
} from './transformer-layer.js';
export * as utils from './utils.js';
