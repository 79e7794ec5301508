/// <reference types="node" preserve="true" />
/// <reference lib="esnext.disposable" preserve="true" />
/** Tensors, operators, autograd, random numbers, scopes, safetensors: what `torch` is. */
import './generated/methods.js';
import './composites/methods.js';
import './print/tensor-text.js';

export { type AutocastDType, autocast, isAutocastEnabled } from './autocast.js';
export {
  type BackwardOptions,
  backward,
  detectAnomaly,
  enableGrad,
  type GradOptions,
  grad,
  inferenceMode,
  isGradEnabled,
  isInferenceMode,
  noGrad,
  setGradEnabled,
} from './autograd.js';
export { checkpoint } from './checkpoint.js';
export { lu, pcaLowrank, svdLowrank } from './composites/decompositions.js';
export type { Index, IndexList, Range } from './composites/indexing.js';
export * as masked from './composites/masked.js';
export { norm } from './composites/norm.js';
export { broadcastShapes, nonzero, tensordot, unravelIndex } from './composites/shapes.js';
export * as signal from './composites/signal.js';
export * as sparse from './composites/sparse.js';
export { unique, uniqueConsecutive } from './composites/unique.js';
export {
  type CreationOptions,
  fromBytes,
  full,
  type NestedValues,
  type TensorOptions,
  tensor,
} from './creation.js';
export * as cuda from './cuda.js';
export { type CustomFunction, customFunction, type FunctionContext } from './custom-function.js';
export { hessian, jacobian, jvp, vjp } from './derivatives.js';
export * as distributed from './distributed.js';
export {
  type DType,
  dtypes,
  type Layout,
  type MemoryFormat,
  type TypedArray,
  type TypedArrayInput,
} from './dtype.js';
export { AddonNotFoundError, ArgumentError, LibtorchNotFoundError, M3lError } from './errors.js';
export { load, loadAsync, loadNpy, loadNpz } from './files/load.js';
export { saveNpy, saveNpz } from './files/save-numpy.js';
export { type Saved, save } from './files/torch-save.js';
export type { LoadOptions } from './files/torch-zip.js';
export * as fft from './generated/fft.js';
export * from './generated/functions.js';
export * as linalg from './generated/linalg.js';
export * as special from './generated/special.js';
export { type GradcheckOptions, gradcheck, gradgradcheck } from './gradcheck.js';
export {
  available,
  config,
  getInteropThreads,
  getNumThreads,
  memory,
  setInteropThreads,
  setNumThreads,
  sweep,
  version,
} from './memory.js';
export type { OperatorTime } from './native.js';
export { loaded } from './native.js';
export { type OperatorFunction, type OverloadFunction, ops } from './ops.js';
export { getPrintOptions, type PrintOptions, setPrintOptions } from './print/options.js';
export { profile } from './profiler.js';
export { Generator, getRngState, initialSeed, manualSeed, setRngState } from './random.js';
export { loadSafetensors, saveSafetensors } from './safetensors.js';
export { readSafetensorsHeader, type SafetensorsHeader } from './safetensors-header.js';
export { openSafetensors, type Safetensors, type SafetensorsFile } from './safetensors-reader.js';
export { type NumberList, type Scalar, scalar, type TypedScalar } from './scalar.js';
export { detached, dispose, keep, ScopeGuard, scope } from './scope.js';
export {
  loadScript,
  type ScriptArgument,
  ScriptModule,
  type ScriptResult,
} from './script.js';
export { receive, type SharedTensor } from './sharing.js';
export { type NestedNumbers, Tensor, type ToOptions } from './tensor.js';
