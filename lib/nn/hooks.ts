import { requireFunction } from '../torch/require.js';
import { type BackwardHook, type BackwardPreHook, watchBackward } from './backward-hooks.js';
import type { Module } from './module.js';

/** Called before a module's `forward`; what it returns, if anything, takes the arguments' place. */
export type ForwardPreHook = (module: Module, args: readonly unknown[]) => unknown;

/** Called after a module's `forward`; what it returns, if anything, takes the output's place. */
export type ForwardHook = (module: Module, args: readonly unknown[], output: unknown) => unknown;

/** Takes a hook away again; also by `using`. */
export interface HookHandle extends Disposable {
  remove(): void;
}

interface Hooks {
  before: Map<object, ForwardPreHook>;
  after: Map<object, ForwardHook>;
  beforeBackward: Map<object, BackwardPreHook>;
  afterBackward: Map<object, BackwardHook>;
}

const hooked = new WeakMap<Module, Hooks>();

/** Adds a hook before `forward`: in the order in which they were added. */
export function hookBefore(module: Module, hook: ForwardPreHook): HookHandle {
  requireFunction(hook, 'registerForwardPreHook');
  return added(module, (hooks) => hooks.before, hook);
}

/** Adds a hook after `forward`: in the order in which they were added. */
export function hookAfter(module: Module, hook: ForwardHook): HookHandle {
  requireFunction(hook, 'registerForwardHook');
  return added(module, (hooks) => hooks.after, hook);
}

/** Adds a hook before the backward of a module: in the order in which they were added. */
export function hookBeforeBackward(module: Module, hook: BackwardPreHook): HookHandle {
  requireFunction(hook, 'registerFullBackwardPreHook');
  return added(module, (hooks) => hooks.beforeBackward, hook);
}

/** Adds a hook after the backward of a module: in the order in which they were added. */
export function hookAfterBackward(module: Module, hook: BackwardHook): HookHandle {
  requireFunction(hook, 'registerFullBackwardHook');
  return added(module, (hooks) => hooks.afterBackward, hook);
}

function added<Hook>(
  module: Module,
  of: (hooks: Hooks) => Map<object, Hook>,
  hook: Hook,
): HookHandle {
  const hooks = hooked.get(module) ?? install(module);
  const key = {};
  of(hooks).set(key, hook);
  const remove = () => {
    of(hooks).delete(key);
    if (Object.values(hooks).some(({ size }) => size > 0)) return;
    if (hooked.get(module) !== hooks) return;
    hooked.delete(module);
    Reflect.deleteProperty(module, 'forward');
  };
  return { remove, [Symbol.dispose]: remove };
}

/** A `forward` of the instance's own before its class's: a module without hooks costs nothing more. */
function install(module: Module): Hooks {
  const hooks: Hooks = {
    before: new Map(),
    after: new Map(),
    beforeBackward: new Map(),
    afterBackward: new Map(),
  };
  hooked.set(module, hooks);
  const forward = module.forward as (...args: unknown[]) => unknown;
  Object.defineProperty(module, 'forward', {
    configurable: true,
    value(...given: unknown[]): unknown {
      let args = given;
      for (const hook of [...hooks.before.values()]) {
        const changed = hook(module, args);
        if (changed !== undefined) args = Array.isArray(changed) ? changed : [changed];
      }
      const { beforeBackward, afterBackward } = hooks;
      const backward = watchBackward(
        module,
        [...beforeBackward.values()],
        [...afterBackward.values()],
      );
      args = backward ? backward.inputs(args) : args;
      let output = forward.apply(module, args);
      for (const hook of [...hooks.after.values()]) {
        const changed = hook(module, args, output);
        if (changed !== undefined) output = changed;
      }
      return backward ? backward.outputs(output) : output;
    },
  });
  return hooks;
}
