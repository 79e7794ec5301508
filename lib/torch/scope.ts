import {
  asyncScopeOpened,
  asyncScopeSettled,
  type Context,
  closeScope,
  closeScopesOf,
  currentScope,
  openScope,
  runInContext,
  type Scope,
} from './context.js';
import { core } from './native.js';
import { isPlainObject } from './plain-object.js';
import { requireFunction } from './require.js';
import { Tensor } from './tensor.js';
import { trackAlone } from './unscoped.js';

/** An open scope, for `using s = torch.scope()`. */
export class ScopeGuard {
  readonly #scope: Scope = openScope();

  /** Moves tensors of this scope to the one around it; see `keep`. */
  keep<T>(value: T): T {
    promote(value, this.#scope);
    return value;
  }

  /** Releases the tensors made since the scope opened; a second call does nothing. */
  close(): void {
    closeScope(this.#scope);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/**
 * Runs `fn` and releases every tensor made in it, except those that it returns (also inside arrays,
 * plain objects, Maps and Sets): they belong to the scope around, or to none. Also on a throw. For an
 * async `fn` the scope lasts until its promise settles, and interleaved ones do not see each other's
 * tensors.
 *
 * Without `fn`: the guard for a `using` declaration in synchronous code. A `using` block must not
 * contain an `await`; pass an async function instead.
 */
export function scope(): ScopeGuard;
export function scope<T>(fn: () => T): T;
export function scope<T>(fn?: () => T): ScopeGuard | T {
  if (fn === undefined) return new ScopeGuard();
  requireFunction(fn, 'scope');
  const context: Context = { scope: currentScope() };
  let opened: Scope | null = null;
  let result: T;
  try {
    result = runInContext(context, () => {
      opened = openScope();
      return fn();
    });
  } catch (error) {
    if (opened !== null) closeScopesOf(context, opened);
    throw error;
  }
  const inner = opened as unknown as Scope;
  if (isPromise(result)) return settle(result, context, inner) as T;
  try {
    promote(result, inner);
  } finally {
    closeScopesOf(context, inner);
  }
  return result;
}

/**
 * Runs `fn` outside every scope: its tensors live until they are disposed or collected. For
 * parameters, optimiser state and whatever else outlives a step. `fn` may be async.
 */
export function detached<T>(fn: () => T): T {
  requireFunction(fn, 'detached');
  const result = runInContext({ scope: null }, fn);
  if (!isPromise(result)) return result;
  asyncScopeOpened();
  return Promise.resolve(result).finally(asyncScopeSettled) as T;
}

/**
 * Moves a tensor of the current scope (or those inside an array, a plain object, a Map or a Set) to
 * the scope around it, and returns its argument. Tensors of other scopes, and of none, stay.
 */
export function keep<T>(value: T): T {
  const inner = currentScope();
  if (inner !== null) promote(value, inner);
  return value;
}

/** Releases every tensor inside an array, a plain object, a Map or a Set. */
export function dispose(value: unknown): void {
  eachTensor(value, (tensor) => tensor.dispose());
}

async function settle<T>(promise: PromiseLike<T>, context: Context, inner: Scope): Promise<T> {
  asyncScopeOpened();
  try {
    const value = await promise;
    promote(value, inner);
    return value;
  } finally {
    closeScopesOf(context, inner);
    asyncScopeSettled();
  }
}

/** Moves the tensors in `value` that belong to `inner` to the nearest open scope around it. */
function promote(value: unknown, inner: Scope): void {
  let outer = inner.parent;
  while (outer?.closed) outer = outer.parent;
  eachTensor(value, (tensor) => {
    if (!tensor.isLive || core.scopeOf(tensor.handle) !== inner.id) return;
    core.scopeMove(tensor.handle, outer?.id ?? 0);
    if (outer === null) trackAlone(tensor, tensor.handle);
  });
}

/** Calls `visit` for each tensor in a structure of arrays, plain objects, Maps and Sets, however deep. */
function eachTensor(value: unknown, visit: (tensor: Tensor) => void): void {
  const open: unknown[] = [value];
  const seen = new Set<object>();
  while (open.length > 0) {
    const next = open.pop();
    if (next instanceof Tensor) visit(next);
    else if (next !== null && typeof next === 'object' && !ArrayBuffer.isView(next)) {
      if (seen.has(next)) continue;
      seen.add(next);
      for (const child of childrenOf(next) ?? []) open.push(child);
    }
  }
}

function childrenOf(value: object): Iterable<unknown> | null {
  if (Array.isArray(value) || value instanceof Set) return value;
  if (value instanceof Map) return value.values();
  return isPlainObject(value) ? Object.values(value) : null;
}

/** A promise, or what `await` takes for one. */
function isPromise(value: unknown): value is PromiseLike<unknown> {
  if (value === null || typeof value !== 'object' || value instanceof Tensor) return false;
  return 'then' in value && typeof value.then === 'function';
}
