import { inspect } from 'node:util';
import { ArgumentError, describe, M3lError } from '../torch/errors.js';
import type * as torch from '../torch/index.js';
import type { Tensor } from '../torch/index.js';
import { isPlainObject } from '../torch/plain-object.js';
import { requireText, withDefaults } from '../torch/require.js';
import type { BackwardHook, BackwardPreHook } from './backward-hooks.js';
import {
  type ForwardHook,
  type ForwardPreHook,
  type HookHandle,
  hookAfter,
  hookAfterBackward,
  hookBefore,
  hookBeforeBackward,
} from './hooks.js';
import { changes, type MoveOptions, moveOptions, moveTensor } from './move.js';
import { nextOrder, orderOf, type Role, roleOf } from './parameter.js';
import { holdsNoState, privateFields } from './private-fields.js';
import {
  assignState,
  copyState,
  type LoadResult,
  type Place,
  requireFit,
  type StateDict,
} from './state-dict.js';
import * as on from './state-hooks.js';
import { tree } from './tree.js';

/** `patchEmbed1` -> `patch_embed1`: the name a property has in a state dict. */
export function stateName(property: string): string {
  requireText(property, 'nn.stateName', 'the name of a property');
  return property.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** A member's name in a state dict, the member, and what puts another tensor in its place. */
export type Member = [name: string, member: unknown, replace: (tensor: Tensor) => void];

/** Modules whose private fields were looked at. */
const open = new WeakSet<Module>();

/**
 * The base of every layer and model. Properties that hold a module, a `parameter` or a
 * `buffer`, or an array of them, make up its state, named as in PyTorch: camelCase properties in
 * snake_case, joined by dots, with the index of an array's element (as `ModuleList` has it). Maps,
 * Sets and objects of them are refused: `ModuleDict` is for that. So are private (`#`) fields with
 * modules or parameters that were made after the module itself; those handed in are another's, and no
 * part of this one's state.
 */
export abstract class Module {
  /** Whether layers that behave differently in training do so. See {@link train}. */
  training = true;
  readonly #order = nextOrder();

  abstract forward(...args: never[]): unknown;

  /**
   * Own state by property; containers add theirs.
   * @throws {M3lError} `M3L_NN_CHILD` for a module, parameter or buffer where it has no name.
   */
  protected members(): Member[] {
    const own = this as unknown as Record<string, unknown>;
    return Object.keys(own).flatMap((key) =>
      // Most properties are numbers and flags.
      typeof own[key] === 'object' ? membersOf(own, key, stateName(key), this) : [],
    );
  }

  /** What stands in the brackets of the printed module: how it was made. */
  protected details(): string {
    return '';
  }

  /** Direct children with their names. */
  namedChildren(): [string, Module][] {
    return this.members().flatMap(([name, member]) =>
      member instanceof Module ? [[name, member] as [string, Module]] : [],
    );
  }

  children(): Module[] {
    return this.namedChildren().map(([, child]) => child);
  }

  /**
   * This module (under the name `prefix`) and every module below it, depth first; each once, under
   * the first of its names.
   */
  namedModules(prefix = '', seen = new Set<Module>()): [string, Module][] {
    if (seen.has(this)) return [];
    seen.add(this);
    const below = this.namedChildren().flatMap(([name, child]) =>
      child.namedModules(prefix ? `${prefix}.${name}` : name, seen),
    );
    return [[prefix, this], ...below];
  }

  modules(): Module[] {
    return this.namedModules().map(([, module]) => module);
  }

  /** Every parameter below, once each under the first of its names, in the order of definition. */
  namedParameters(): [string, Tensor][] {
    return this.#named((role) => role === 'parameter');
  }

  parameters(): Tensor[] {
    return this.namedParameters().map(([, tensor]) => tensor);
  }

  /** Every buffer below, once each; those too that are in no state dict. */
  namedBuffers(): [string, Tensor][] {
    return this.#named((role) => role !== 'parameter');
  }

  buffers(): Tensor[] {
    return this.namedBuffers().map(([, tensor]) => tensor);
  }

  #named(wanted: (role: Role) => boolean): [string, Tensor][] {
    const names = new Map<Tensor, string>();
    for (const { name, tensor, role } of this.#places()) {
      if (wanted(role) && !names.has(tensor)) names.set(tensor, name);
    }
    return [...names].map(([tensor, name]) => [name, tensor]);
  }

  /** Where state is, here and below; what is shared at each of its places. */
  #places(prefix = '', above: readonly Module[] = []): Place[] {
    if (above.includes(this)) {
      throw new M3lError(
        'M3L_NN_CYCLE',
        `${this.constructor.name}: found it below itself, as '${prefix.slice(0, -1)}', expected a tree of modules: keep what points upwards in a private (#) property.`,
      );
    }
    const members = this.members();
    this.#requireOpen(members);
    const own = members.flatMap(([name, tensor, replace]) => {
      const role = roleOf(tensor);
      return role ? [{ name: prefix + name, tensor: tensor as Tensor, role, replace }] : [];
    });
    const path = [...above, this];
    const below = members.flatMap(([name, member]) =>
      member instanceof Module ? member.#places(`${prefix}${name}.`, path) : [],
    );
    const [first, then] = [true, false].map((kind) =>
      own.filter(({ role }) => (role === 'parameter') === kind),
    );
    return [...first!, ...then!, ...below];
  }

  /** Throws where a private field holds what would be trained and saved by nobody. */
  #requireOpen(members: readonly Member[]): void {
    if (open.has(this)) return;
    open.add(this);
    for (const [name, value] of privateFields(this)) {
      const lost = [value].flat().find((held) => {
        const order =
          held instanceof Module ? held.#order : roleOf(held) ? orderOf(held as Tensor) : 0;
        return order > this.#order && !members.some(([, member]) => member === held);
      });
      if (lost === undefined) continue;
      open.delete(this);
      throw new M3lError(
        'M3L_NN_CHILD',
        `${this.constructor.name}: found a ${(lost as object).constructor.name} in the private field '${name}', where it is no part of the state; expected a property (with TypeScript's \`private\` it may be), or an object within the field where nothing shall train and save it.`,
      );
    }
  }

  /** The tensors of the state dict: what is shared under each of its names. */
  #state(): Map<string, Tensor> {
    const state = new Map<string, Tensor>();
    for (const { name, tensor, role } of this.#places()) {
      if (role === 'scratch') continue;
      if (state.has(name)) {
        throw new M3lError(
          'M3L_NN_CHILD',
          `${this.constructor.name}: found two members under the name '${name}' of the state dict, expected one: rename a property.`,
        );
      }
      state.set(name, tensor);
    }
    return state;
  }

  /** Sets training mode here and below. */
  train(mode = true): this {
    for (const module of this.modules()) module.training = mode;
    return this;
  }

  eval(): this {
    return this.train(false);
  }

  /** Calls `fn` on every module below, children before parents, then on this one. */
  apply(fn: (module: Module) => void): this {
    for (const [, child] of this.namedChildren()) child.apply(fn);
    fn(this);
    return this;
  }

  requiresGrad_(flag = true): this {
    for (const tensor of this.parameters()) tensor.requiresGrad_(flag);
    return this;
  }

  zeroGrad(): void {
    for (const tensor of this.parameters()) tensor.grad = null;
  }

  /**
   * Live parameters and buffers by name, detached: they share the module's memory. As in PyTorch what
   * is shared is there under each of its names.
   */
  stateDict(): StateDict {
    const modules = this.namedModules();
    on.beforeSave(modules);
    const live = [...this.#state()].map(([name, tensor]) => [name, tensor.detach()] as const);
    return on.afterSave(modules, Object.fromEntries(live));
  }

  /**
   * Copies values in by name, converting dtype and device.
   *
   * @param options.strict (default true) missing or unexpected names are errors; shapes always are.
   * @param options.assign (default false) takes the tensors over instead, as they are: their memory is
   *   shared, dtype and device are theirs. Build optimisers afterwards.
   * @returns the names that were missing and unexpected.
   * @throws {StateDictError} before anything is copied.
   */
  loadStateDict(dict: StateDict, options: { strict?: boolean; assign?: boolean } = {}): LoadResult {
    const { strict, assign } = withDefaults(
      'Module.loadStateDict',
      { strict: true, assign: false },
      options,
    );
    const modules = this.namedModules();
    const given = on.beforeLoad(modules, dict);
    const own = this.#state();
    const result = requireFit(own, given, strict, this.constructor.name);
    if (assign) assignState(this.#places(), given);
    else copyState(own, given);
    return on.afterLoad(modules, result);
  }

  /**
   * Moves parameters and buffers to a device, a floating-point dtype or a memory format. Tensors that change are
   * replaced (gradients are dropped): build optimisers afterwards.
   * @throws ArgumentError for an option that `to` does not have, or a dtype that is no float
   */
  to(target: MoveOptions | torch.DType | (string & {})): this {
    const options = moveOptions(target);
    const done = new Map<Tensor, Tensor>();
    for (const { tensor, role, replace } of this.#places()) {
      const before = done.get(tensor);
      if (before) replace(before);
      if (before || !changes(tensor, options)) continue;
      const moved = moveTensor(tensor, role, options);
      done.set(tensor, moved);
      tensor.dispose();
      replace(moved);
    }
    return this;
  }

  /**
   * Calls `hook` before each `forward` of this module. What it returns, if anything, takes the place of
   * the arguments. Code that reads the weights and computes by itself (the views for inference) calls
   * no hooks.
   */
  registerForwardPreHook(hook: ForwardPreHook): HookHandle {
    return hookBefore(this, hook);
  }

  /**
   * Calls `hook` after each `forward` of this module (with the promise of one that is async). What it
   * returns, if anything, takes the place of the output; otherwise as {@link registerForwardPreHook}.
   */
  registerForwardHook(hook: ForwardHook): HookHandle {
    return hookAfter(this, hook);
  }

  /**
   * Calls `hook` in backward with the gradients of the outputs of this module's `forward` (its tensors: one,
   * or those of a list); zeros for outputs that were not used. What it returns, if anything, takes their
   * place. Neither arguments nor outputs of a module with such hooks may be written in place.
   */
  registerFullBackwardPreHook(hook: BackwardPreHook): HookHandle {
    return hookBeforeBackward(this, hook);
  }

  /**
   * Calls `hook` in backward with the gradients of the arguments and of the outputs. What it returns, if
   * anything, takes the place of those of the arguments. Where no argument requires a gradient it is called
   * with nulls for them; otherwise as {@link registerFullBackwardPreHook}.
   */
  registerFullBackwardHook(hook: BackwardHook): HookHandle {
    return hookAfterBackward(this, hook);
  }

  /** Calls `hook` before {@link stateDict} lists this module, by itself or within another. */
  registerStateDictPreHook(hook: on.StateDictPreHook): HookHandle {
    return on.hookState('registerStateDictPreHook', this, hook);
  }

  /** Calls `hook` with each state dict that this module is in: it may add, rename and delete. */
  registerStateDictPostHook(hook: on.StateDictPostHook): HookHandle {
    return on.hookState('registerStateDictPostHook', this, hook);
  }

  /** Calls `hook` with a copy of each state dict to be loaded: it may add, rename and delete. */
  registerLoadStateDictPreHook(hook: on.LoadStateDictPreHook): HookHandle {
    return on.hookState('registerLoadStateDictPreHook', this, hook);
  }

  /** Calls `hook` when a state dict was loaded, with the names that were missing and unexpected. */
  registerLoadStateDictPostHook(hook: on.LoadStateDictPostHook): HookHandle {
    return on.hookState('registerLoadStateDictPostHook', this, hook);
  }

  /** The tree of modules, each as the call that makes it. */
  toString(): string {
    const children = this.namedChildren().map(([name, child]) => [name, `${child}`] as const);
    return tree(this.constructor.name, this.details(), children);
  }

  [inspect.custom](): string {
    return this.toString();
  }

  /** Releases every parameter and buffer; the module is unusable afterwards. */
  dispose(): void {
    for (const { tensor } of this.#places()) tensor.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

holdsNoState(Module);

/** A module of one tensor in and one out, as containers hold them. */
export interface Layer extends Module {
  forward(x: Tensor): Tensor;
}

/** Throws M3L_ARGUMENT where `value` is no module. */
export function requireModule(value: unknown, where: string): void {
  if (value instanceof Module) return;
  throw new ArgumentError(`${where}: found ${describe(value)}, expected a module`);
}

/** The members that one property holds: itself, or the elements of an array. */
function membersOf(
  holder: Record<string, unknown>,
  key: string,
  name: string,
  module: Module,
): Member[] {
  const value = holder[key];
  const replace = (tensor: Tensor) => {
    holder[key] = tensor;
  };
  if (isMember(value)) return [[name, value, replace]];
  if (Array.isArray(value)) {
    const list = value as unknown as Record<string, unknown>;
    return value.flatMap((element, index) => {
      if (!isMember(element)) requireNoMembers(element, `${key}[${index}]`, module);
      return isMember(element) ? membersOf(list, `${index}`, `${name}.${index}`, module) : [];
    });
  }
  requireNoMembers(value, key, module);
  return [];
}

function isMember(value: unknown): boolean {
  return value instanceof Module || roleOf(value) !== undefined;
}

function requireNoMembers(value: unknown, where: string, module: Module): void {
  if (typeof value !== 'object' || value === null) return;
  const isGroup = value instanceof Map || value instanceof Set || Array.isArray(value);
  if (!isGroup && !isPlainObject(value)) return;
  const held = (isGroup ? [...value.values()] : Object.values(value)).find(isMember);
  if (held === undefined) return;
  const kind = Array.isArray(value) ? 'an array' : describe(value);
  throw new M3lError(
    'M3L_NN_CHILD',
    `${module.constructor.name}: found a ${held.constructor.name} within ${kind} at '${where}', where it would be no part of the state; expected a property, an array or a ModuleDict that holds it, or a private (#) property where it belongs to another module.`,
  );
}
