import { core, libtorch, loadCore, type NativeMemory } from './native.js';
import { closePage } from './unscoped.js';

/**
 * Live tensor handles, their bytes (each storage once), open scopes, tracked handles; tensors that any
 * thread of the process has shared and none received.
 */
export function memory(): NativeMemory & { shared: number } {
  closePage();
  return { ...core.memory(), shared: core.sharedCount() };
}

/** Releases unscoped tensors whose objects were collected; happens on allocation by itself. */
export function sweep(): number {
  closePage();
  return core.sweep();
}

/** Threads that one operator uses. */
export function setNumThreads(count: number): void {
  core.setNumThreads(count);
}

/** How many threads an operator may use. */
export function getNumThreads(): number {
  return core.getNumThreads();
}

/** Threads for operators that run beside each other; settable once, before the first of them. */
export function setInteropThreads(count: number): void {
  core.setInteropThreads(count);
}

/** How many operators libtorch runs beside one another, where it does so. */
export function getInteropThreads(): number {
  return core.getInteropThreads();
}

/** Version of the libtorch in use, for example `2.13.0+cpu`. */
export function version(): string {
  return libtorch().version ?? core.buildVersion();
}

/** How the libtorch in use was built: compilers, BLAS, capabilities. */
export function config(): string {
  return core.config();
}

/** True where libtorch and the addon are there and load; `m3l doctor` says why not. */
export function available(): boolean {
  try {
    loadCore();
    return true;
  } catch {
    return false;
  }
}
