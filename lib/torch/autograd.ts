import { refresh } from './context.js';
import { ArgumentError } from './errors.js';
import { core, type Handle } from './native.js';
import { requireFunction, requireObject } from './require.js';
import { type BackwardOptions, handleOf, type Tensor, wrapOptional } from './tensor.js';

export type { BackwardOptions };

/** Runs synchronous `fn` without recording gradients. */
export function noGrad<T>(fn: () => T): T {
  return withGradMode(false, 'noGrad', fn);
}

/** Runs synchronous `fn` with gradients recorded, also inside `noGrad`. */
export function enableGrad<T>(fn: () => T): T {
  return withGradMode(true, 'enableGrad', fn);
}

/** Runs synchronous `fn` in inference mode: faster than `noGrad`; its tensors never join a graph. */
export function inferenceMode<T>(fn: () => T): T {
  requireFunction(fn, 'inferenceMode');
  core.inferencePush(true);
  try {
    return ensureSynchronous(fn(), 'inferenceMode');
  } finally {
    core.inferencePop();
  }
}

/**
 * Runs synchronous `fn` such that a backward inside it names the function whose gradient is NaN, as an
 * error; for every thread of the process, and slow.
 */
export function detectAnomaly<T>(fn: () => T): T {
  requireFunction(fn, 'detectAnomaly');
  const previous = core.setDetectAnomaly(true, true);
  try {
    return ensureSynchronous(fn(), 'detectAnomaly');
  } finally {
    core.setDetectAnomaly(previous, previous);
  }
}

/** Whether gradients are recorded. */
export function isGradEnabled(): boolean {
  return core.isGradEnabled();
}

/** Turns recording on or off for the thread, and returns what it was. */
export function setGradEnabled(flag: boolean): boolean {
  return core.setGradEnabled(flag);
}

/** Whether inference mode is on. */
export function isInferenceMode(): boolean {
  return core.isInferenceMode();
}

/**
 * Adds to the `grad` of the leaves the gradients of the roots' sum, each root weighted by its entry of
 * `grads` (of the root's shape; null or absent: 1, for a root of one element only).
 */
export function backward(
  roots: Tensor | readonly Tensor[],
  grads: Tensor | null | readonly (Tensor | null)[] = null,
  options: BackwardOptions = {},
): void {
  requireObject(options, 'backward', 'options, such as { retainGraph: true }');
  const { createGraph = false, retainGraph = createGraph, inputs = [] } = options;
  const outputs = handles(roots, 'backward', 'roots');
  core.backward(
    outputs,
    optionalHandles(grads, outputs.length, 'backward', 'grads'),
    retainGraph,
    createGraph,
    handles(inputs, 'backward', 'inputs'),
  );
}

/** What `torch.grad` takes by name. */
export interface GradOptions {
  /** Weights of the outputs, each of its output's shape; default 1 for outputs of one element. */
  gradOutputs?: Tensor | null | readonly (Tensor | null)[];
  retainGraph?: boolean;
  createGraph?: boolean;
  /** Give null for an input that the outputs do not depend on, where it is otherwise an error. */
  allowUnused?: boolean;
}

/**
 * Gradients of the outputs' sum with respect to the inputs, one for each; touches no `grad`.
 * @throws M3lError where the outputs do not depend on an input, unless `allowUnused` takes null for it
 */
export function grad(
  outputs: Tensor | readonly Tensor[],
  inputs: Tensor | readonly Tensor[],
  options?: GradOptions & { allowUnused?: false },
): Tensor[];
export function grad(
  outputs: Tensor | readonly Tensor[],
  inputs: Tensor | readonly Tensor[],
  options: GradOptions,
): (Tensor | null)[];
export function grad(
  outputs: Tensor | readonly Tensor[],
  inputs: Tensor | readonly Tensor[],
  options: GradOptions = {},
): (Tensor | null)[] {
  requireObject(options, 'grad', 'options, such as { allowUnused: true }');
  const { createGraph = false, retainGraph = createGraph, allowUnused = false } = options;
  const roots = handles(outputs, 'grad', 'outputs');
  refresh();
  const gradients = core.gradients(
    roots,
    handles(inputs, 'grad', 'inputs'),
    optionalHandles(options.gradOutputs ?? null, roots.length, 'grad', 'gradOutputs'),
    retainGraph,
    createGraph,
    allowUnused,
  );
  return gradients.map(wrapOptional);
}

function withGradMode<T>(flag: boolean, name: string, fn: () => T): T {
  requireFunction(fn, name);
  const previous = core.setGradEnabled(flag);
  try {
    return ensureSynchronous(fn(), name);
  } finally {
    core.setGradEnabled(previous);
  }
}

/** The mode belongs to the thread: across an await it would leak into other code. */
export function ensureSynchronous<T>(value: T, name: string): T {
  if (!(value instanceof Promise)) return value;
  value.catch(() => {});
  throw new ArgumentError(
    `${name}: the function returned a promise, but the mode holds for synchronous code only. ` +
      `Call ${name} inside the async function, around the synchronous part.`,
  );
}

function handles(
  tensors: Tensor | readonly Tensor[],
  operator: string,
  argument: string,
): Handle[] {
  const list = Array.isArray(tensors) ? (tensors as readonly Tensor[]) : [tensors as Tensor];
  return list.map((tensor) => handleOf(tensor, operator, argument));
}

function optionalHandles(
  tensors: Tensor | null | readonly (Tensor | null)[],
  count: number,
  operator: string,
  argument: string,
): (Handle | null)[] {
  if (tensors === null) return Array(count).fill(null);
  const list = Array.isArray(tensors) ? (tensors as (Tensor | null)[]) : [tensors as Tensor];
  if (list.length !== count) {
    throw new ArgumentError(
      `${operator}: argument '${argument}' has ${list.length} entries, expected ${count}, one a root`,
    );
  }
  return list.map((tensor) => tensor && handleOf(tensor, operator, argument));
}
