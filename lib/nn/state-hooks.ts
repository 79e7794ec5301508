import { requireFunction } from '../torch/require.js';
import type { HookHandle } from './hooks.js';
import type { Module } from './module.js';
import type { LoadResult, StateDict } from './state-dict.js';

/** Called before the state of a module is listed; `prefix` is what its names begin with: '' or 'a.b.'. */
export type StateDictPreHook = (module: Module, prefix: string) => void;

/** Called with the whole state dict, to change, once the module's part is in it. */
export type StateDictPostHook = (module: Module, state: StateDict, prefix: string) => void;

/** Called with the whole state dict, a copy to change, before anything of it is looked at. */
export type LoadStateDictPreHook = (module: Module, state: StateDict, prefix: string) => void;

/** Called after the values were taken over. */
export type LoadStateDictPostHook = (module: Module, result: LoadResult) => void;

interface Kinds {
  registerStateDictPreHook: StateDictPreHook;
  registerStateDictPostHook: StateDictPostHook;
  registerLoadStateDictPreHook: LoadStateDictPreHook;
  registerLoadStateDictPostHook: LoadStateDictPostHook;
}

type Kind = keyof Kinds;

const hooked = new WeakMap<Module, Map<object, { kind: Kind; hook: unknown }>>();

/** Adds a hook under the name of the method that does so. */
export function hookState<K extends Kind>(kind: K, module: Module, hook: Kinds[K]): HookHandle {
  requireFunction(hook, kind);
  const hooks = hooked.get(module) ?? new Map();
  hooked.set(module, hooks);
  const key = {};
  hooks.set(key, { kind, hook });
  const remove = () => void hooks.delete(key);
  return { remove, [Symbol.dispose]: remove };
}

type Named = readonly (readonly [name: string, module: Module])[];

/** The hooks of a kind, in the order of the modules and in which they were added. */
function* hooksOf<K extends Kind>(
  kind: K,
  modules: Named,
): Generator<[hook: Kinds[K], module: Module, prefix: string]> {
  for (const [name, module] of modules) {
    for (const each of [...(hooked.get(module)?.values() ?? [])]) {
      if (each.kind === kind) yield [each.hook as Kinds[K], module, name && `${name}.`];
    }
  }
}

export function beforeSave(modules: Named): void {
  for (const [hook, ...of] of hooksOf('registerStateDictPreHook', modules)) hook(...of);
}

/** Children before parents, as PyTorch does. */
export function afterSave(modules: Named, state: StateDict): StateDict {
  const hooks = hooksOf('registerStateDictPostHook', [...modules].reverse());
  for (const [hook, module, prefix] of hooks) hook(module, state, prefix);
  return state;
}

/** The state dict that is to be loaded. */
export function beforeLoad(modules: Named, dict: StateDict): StateDict {
  const given = { ...dict };
  const hooks = hooksOf('registerLoadStateDictPreHook', modules);
  for (const [hook, module, prefix] of hooks) hook(module, given, prefix);
  return given;
}

export function afterLoad(modules: Named, result: LoadResult): LoadResult {
  const hooks = hooksOf('registerLoadStateDictPostHook', [...modules].reverse());
  for (const [hook, module] of hooks) hook(module, result);
  return result;
}
