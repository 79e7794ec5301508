/** The interfaces of the native addons m3l_loader (binding/loader) and m3l_core (binding/core). */

/** Every view that a tensor's values come out as. */
export type TypedArray =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

/** Opens shared libraries so that those opened later find their symbols. */
export interface NativeLoader {
  readonly interfaceVersion: number;
  /** `visible`: what is opened later finds the library's symbols. */
  open(path: string, visible: boolean): void;
  /** The file of the libtorch_cpu that this process has opened, whoever did; null where none has. */
  libtorch(): string | null;
}

/**
 * Slot and generation of a native tensor; never reused, so a stale one is an error. A new one is given
 * negative where no scope owns the tensor and it must be tracked alone.
 */
export type Handle = number;
/** What libtorch knows a stream of a device by. */
export type StreamNumber = number | bigint;
/** An event of a device's; opaque. */
export type NativeEvent = object;
/** A random generator of the core; opaque. */
export type NativeGenerator = object;
/** A TorchScript module of the core; opaque. */
export type NativeScript = object;
/** What a method of a script gives: lists and tuples are arrays. */
export type NativeScriptResult =
  | null
  | number
  | bigint
  | boolean
  | string
  | { tensor: Handle | null }
  | { pairs: [NativeScriptResult, NativeScriptResult][] }
  | NativeScriptResult[];
/** What an operator returns before it is wrapped. */
export type NativeResult = number | bigint | boolean | string | null | undefined | NativeResult[];

export interface NativeMemory {
  tensors: number;
  bytes: number;
  scopes: number;
  tracked: number;
  bytesByDevice: Record<string, number>;
  /** What libtorch has allocated, whoever holds it; of the devices that were used and keep a count. */
  allocatedByDevice: Record<string, number>;
}

/** What a profile says of the operators of one name (and of one set of sizes). */
export interface OperatorTime {
  /** `aten::add`, `m3l::linear`, `MmBackward0` … */
  name: string;
  /** Those of the tensor arguments, `[4, 64] [64, 32]`; empty unless asked for. */
  sizes: string;
  calls: number;
  /** Milliseconds spent in it, without the operators it called, and with them. */
  selfMs: number;
  totalMs: number;
}

export interface NativeCore {
  readonly interfaceVersion: number;
  setErrorClass(errorClass: new (code: string, message: string) => Error): void;
  /** Called with the text of each warning of libtorch's, inside the operator's call. */
  setWarningListener(listener: (message: string) => void): void;
  operators(): string[];
  resolve(name: string, overload: string): number;
  schema(operator: number): string;
  call(operator: number, ...args: unknown[]): NativeResult;
  /** On another thread; a promise of what `takeResult` gives the results for. */
  callAsync(operator: number, ...args: unknown[]): Promise<number>;
  /** As `call` gives them, in the scope that is current now; null for one that an argument is. */
  takeResult(result: number): NativeResult;

  scopeOpen(): number;
  scopeEnter(scope: number): number;
  scopeClose(scope: number): void;
  scopeMove(handle: Handle, scope: number): void;
  scopeOf(handle: Handle): number;
  track(owner: object, handle: Handle): void;
  /** One weak reference for all of `handles[0 .. count)`, whose tensors all hold `page`. */
  trackPage(page: object, handles: Float64Array, count: number): void;
  sweep(): number;
  dispose(handle: Handle): boolean;
  isLive(handle: Handle): boolean;

  /** Several views are joined. */
  fromBuffer(
    views: ArrayBufferView | readonly ArrayBufferView[],
    dtype: number,
    shape: readonly number[],
  ): Handle;
  /** null where it is large: `copyTo` then copies into memory that JavaScript has got. */
  toBuffer(handle: Handle): TypedArray | null;
  copyTo(handle: Handle, view: ArrayBufferView): void;
  /** On another thread: nobody may touch `view` until it is done. */
  copyToAsync(handle: Handle, view: ArrayBufferView): Promise<void>;
  item(handle: Handle): number | boolean | bigint;
  shape(handle: Handle): number[];
  strides(handle: Handle): number[];
  numel(handle: Handle): number;
  dtype(handle: Handle): number;
  device(handle: Handle): string;
  storageOffset(handle: Handle): number;
  nbytes(handle: Handle): number;
  version(handle: Handle): number;
  /** `strided`, `sparse`, `sparseCsr`, … */
  layout(handle: Handle): string;
  /** Of tensors that share memory the same, of others another as long as both live; 0 without any. */
  storageKey(handle: Handle): number;
  alias(handle: Handle): Handle;
  sameStorage(a: Handle, b: Handle): boolean;

  /** Number of a tensor that `receive` of any thread gives, once. */
  share(handle: Handle): number;
  receive(shared: number): Handle;
  sharedCount(): number;

  requiresGrad(handle: Handle): boolean;
  setRequiresGrad(handle: Handle, flag: boolean): void;
  isLeaf(handle: Handle): boolean;
  grad(handle: Handle): Handle | null;
  setGrad(handle: Handle, grad: Handle | null): void;
  backward(
    roots: Handle[],
    gradients: (Handle | null)[],
    retainGraph: boolean,
    createGraph: boolean,
    inputs: Handle[],
  ): void;
  backwardAsync(...args: Parameters<NativeCore['backward']>): Promise<void>;
  gradients(
    outputs: Handle[],
    inputs: Handle[],
    gradOutputs: (Handle | null)[],
    retainGraph: boolean,
    createGraph: boolean,
    allowUnused: boolean,
  ): (Handle | null)[];
  gradFunctionName(handle: Handle): string | null;
  /** The function is called with the number of an exchange, as those of `customFunction`. */
  registerHook(handle: Handle, hook: (exchange: number) => void): number;
  removeHook(handle: Handle, hook: number): void;
  /** `forward` answers with its outputs, what it saves, and the outputs that have no gradient. */
  customFunction(
    inputs: Handle[],
    forward: (exchange: number) => void,
    backward: (exchange: number) => void,
  ): Handle[];
  /** What the function was called with, as new handles; in a scope, positive ones. */
  exchangeInputs(exchange: number): Handle[];
  /** What the function answers with. */
  exchangeResults(exchange: number, ...lists: (Handle | null)[][]): void;
  enterDualLevel(): number;
  exitDualLevel(level: number): void;
  /** Returns what it was. */
  setDetectAnomaly(enabled: boolean, checkNan: boolean): boolean;
  scriptLoad(path: string, device: string): NativeScript;
  scriptCall(script: NativeScript, method: string, args: unknown[]): NativeScriptResult;
  /** The promise of a number that `scriptResult` gives the result for, once. */
  scriptCallAsync(script: NativeScript, method: string, args: unknown[]): Promise<number>;
  scriptResult(result: number): NativeScriptResult;
  scriptMethods(script: NativeScript): string[];
  /** Parameters and buffers by name. */
  scriptState(script: NativeScript): [name: string, handle: Handle][];
  scriptTrain(script: NativeScript, training: boolean): void;
  scriptTo(script: NativeScript, device: string): void;
  setGradEnabled(flag: boolean): boolean;
  isGradEnabled(): boolean;
  inferencePush(flag: boolean): void;
  inferencePop(): void;
  isInferenceMode(): boolean;

  autocastPush(device: string, dtype: number): void;
  autocastPop(): void;
  isAutocastEnabled(device: string): boolean;
  setTf32(allowed: boolean): void;
  tf32(): [products: boolean, convolutions: boolean];

  startProfile(sizes: boolean): void;
  stopProfile(): OperatorTime[];

  manualSeed(seed: number | bigint): void;
  newGenerator(device: string): NativeGenerator;
  generatorSeed(generator: NativeGenerator | null, seed: number | bigint): void;
  /** Of a device's default one by the device's name; null: the CPU's. */
  generatorState(generator: NativeGenerator | string | null): Handle;
  setGeneratorState(generator: NativeGenerator | string | null, state: Handle): void;
  initialSeed(generator: NativeGenerator | null): bigint;

  setNumThreads(count: number): void;
  getNumThreads(): number;
  setInteropThreads(count: number): void;
  getInteropThreads(): number;
  memory(): NativeMemory;
  cudaAvailable(): boolean;
  cudaDeviceCount(): number;
  emptyCache(): void;
  /** The index of a device; of `cuda` that of the current one. */
  currentDevice(device: string): number;
  /** The index of the device that was current before. */
  exchangeDevice(device: string): number;
  synchronizeDevice(device: string): void;
  synchronizeDeviceAsync(device: string): Promise<void>;
  memoryStatistics(device: string): Record<string, number>;
  deviceMemory(device: string): { free: number; total: number };
  resetPeakMemory(device: string): void;

  currentStream(device: string): StreamNumber;
  newStream(device: string, priority: number): StreamNumber;
  /** The stream of the device that was current before. */
  exchangeStream(device: string, stream: StreamNumber): StreamNumber;
  queryStream(device: string, stream: StreamNumber): boolean;
  synchronizeStream(device: string, stream: StreamNumber): void;
  synchronizeStreamAsync(device: string, stream: StreamNumber): Promise<void>;
  recordStream(handle: Handle, device: string, stream: StreamNumber): void;
  newEvent(device: string, timing: boolean): NativeEvent;
  recordEvent(event: NativeEvent, device: string, stream: StreamNumber): void;
  waitEvent(event: NativeEvent, device: string, stream: StreamNumber): void;
  queryEvent(event: NativeEvent): boolean;
  synchronizeEvent(event: NativeEvent): void;
  synchronizeEventAsync(event: NativeEvent): Promise<void>;
  elapsedTime(start: NativeEvent, end: NativeEvent): number;

  buildVersion(): string;
  config(): string;
}
