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
import { Tensor } from './tensor.js';

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
  promote(result, inner);
  closeScopesOf(context, inner);
  return result;
}

/**
 * Runs `fn` outside every scope: its tensors live until they are disposed or collected. For
 * parameters, optimiser state and whatever else outlives a step. `fn` may be async.
 */
export function detached<T>(fn: () => T): T {
  const result = runInContext({ scope: null }, fn);
  if (!isPromise(result)) return result;
  asyncScopeOpened();
  return result.finally(asyncScopeSettled) as T;
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

async function settle<T>(promise: Promise<T>, context: Context, inner: Scope): Promise<T> {
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
    if (outer === null) core.track(tensor, tensor.handle);
  });
}

/** Calls `visit` for each tensor in a structure of arrays, plain objects, Maps and Sets. */
function eachTensor(
  value: unknown,
  visit: (tensor: Tensor) => void,
  seen: Set<object> = new Set(),
): void {
  if (value instanceof Tensor) {
    visit(value);
    return;
  }
  if (value === null || typeof value !== 'object' || ArrayBuffer.isView(value)) return;
  const children = childrenOf(value);
  if (children === null || seen.has(value)) return;
  seen.add(value);
  for (const child of children) eachTensor(child, visit, seen);
}

function childrenOf(value: object): Iterable<unknown> | null {
  if (Array.isArray(value) || value instanceof Set) return value;
  if (value instanceof Map) return value.values();
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null ? Object.values(value) : null;
}

function isPromise(value: unknown): value is Promise<unknown> {
  return value instanceof Promise;
}
