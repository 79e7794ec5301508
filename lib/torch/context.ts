/**
 * Which scope is current. Synchronous code reads plain variables; while an async scope is open,
 * AsyncLocalStorage says whose code runs, and `refresh` brings the core in line before a native call.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { core } from './native.js';

export interface Scope {
  readonly id: number;
  readonly parent: Scope | null;
  closed: boolean;
}

/** One line of execution: its innermost scope. Scopes of one context nest, contexts interleave. */
export interface Context {
  scope: Scope | null;
}

const storage = new AsyncLocalStorage<Context>();
const root: Context = { scope: null };

/** The context that the core's current scope mirrors. */
let active: Context = root;
/** The core's current scope, 0 for none. */
export let currentId = 0;
/** Async scopes that have not settled yet; while it is 0 no context needs looking up. */
export let openAsync = 0;

/** Before a native call that makes tensors: makes the running code's scope the current one. */
export function refresh(): void {
  if (openAsync === 0) return;
  const context = storage.getStore() ?? root;
  if (context !== active) activate(context);
}

/** The innermost open scope of the running code. */
export function currentScope(): Scope | null {
  refresh();
  active.scope = openAncestor(active.scope);
  return active.scope;
}

/** Opens a scope inside the current one and makes it current. */
export function openScope(): Scope {
  const parent = currentScope();
  currentId = core.scopeOpen();
  active.scope = { id: currentId, parent, closed: false };
  return active.scope;
}

/** Closes a scope, releasing its tensors; the nearest open one around it becomes current. */
export function closeScope(scope: Scope): void {
  if (scope.closed) return;
  scope.closed = true;
  core.scopeClose(scope.id);
  if (currentId === scope.id) {
    currentId = -1;
    activate(active);
  }
}

/** Closes a scope of a context, and with it the guards opened inside that nobody closed. */
export function closeScopesOf(context: Context, outermost: Scope): void {
  let scope = context.scope;
  while (scope !== null && scope !== outermost) {
    closeScope(scope);
    scope = scope.parent;
  }
  closeScope(outermost);
}

/** Runs `fn` in another context; the caller's comes back after. */
export function runInContext<T>(inner: Context, fn: () => T): T {
  refresh();
  const outer = active;
  try {
    activate(inner);
    return storage.run(inner, fn);
  } finally {
    activate(outer);
  }
}

export function asyncScopeOpened(): void {
  openAsync += 1;
}

export function asyncScopeSettled(): void {
  openAsync -= 1;
  activate(openAsync === 0 ? root : (storage.getStore() ?? root));
}

function activate(context: Context): void {
  active = context;
  context.scope = openAncestor(context.scope);
  const id = context.scope?.id ?? 0;
  if (id === currentId) return;
  core.scopeEnter(id);
  currentId = id;
}

/** A scope closes while work started in it goes on: that work then belongs to the scope around. */
function openAncestor(scope: Scope | null): Scope | null {
  let open = scope;
  while (open?.closed) open = open.parent;
  return open;
}
