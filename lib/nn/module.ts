import { ArgumentError, describe, M3lError } from '../torch/errors.js';
import * as torch from '../torch/index.js';
import { Tensor } from '../torch/index.js';
import { requireFunction, requireText } from '../torch/require.js';

export type StateDict = Record<string, Tensor>;

/** A state dict that does not fit its module: names or shapes differ. Code `M3L_STATE_DICT`. */
export class StateDictError extends M3lError {
  constructor(message: string) {
    super('M3L_STATE_DICT', message);
  }
}

const parameters = new WeakSet<Tensor>();
const buffers = new WeakSet<Tensor>();

/** Runs `make` so that its result outlives every scope, and nothing else made inside does. */
export function persistent(make: () => Tensor): Tensor {
  requireFunction(make, 'nn.persistent');
  return torch.detached(() => torch.scope(() => torch.noGrad(make)));
}

function register(kind: WeakSet<Tensor>, source: Tensor | (() => Tensor)): Tensor {
  if (!(source instanceof Tensor)) requireFunction(source, 'nn.parameter, nn.buffer');
  const tensor = persistent(typeof source === 'function' ? source : () => source.detach());
  if (!(tensor instanceof Tensor)) {
    throw new ArgumentError(
      `nn.parameter, nn.buffer: the function gave ${describe(tensor)}, expected a Tensor`,
    );
  }
  kind.add(tensor);
  return tensor;
}

/**
 * A trainable tensor. Assigned to a property of a module it is one of the module's parameters.
 * It belongs to no scope: it lives until the module is disposed of.
 *
 * @param source the values (their memory is shared, not copied), or a function that makes them.
 */
export function parameter(source: Tensor | (() => Tensor)): Tensor {
  return register(parameters, source).requiresGrad_(true);
}

/** A tensor of the module's state that is not trained; otherwise as {@link parameter}. */
export function buffer(source: Tensor | (() => Tensor)): Tensor {
  return register(buffers, source);
}

/** `patchEmbed1` -> `patch_embed1`: the name a property has in a state dict. */
export function stateName(property: string): string {
  requireText(property, 'nn.stateName', 'the name of a property');
  return property.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

export interface MoveOptions {
  device?: string;
  /** Applies to floating-point parameters and buffers only. */
  dtype?: torch.DType;
  /** Applies to parameters and buffers of four dimensions only: the weights of convolutions. */
  memoryFormat?: 'contiguous' | 'channelsLast';
}

export interface LoadResult {
  missing: string[];
  unexpected: string[];
}

/**
 * The base of every layer and model. Properties that hold a module, a {@link parameter} or a
 * {@link buffer} make up its state, named as in PyTorch: camelCase properties in snake_case, joined
 * by dots. Private (`#`) properties and plain arrays are no part of it.
 */
export abstract class Module {
  /** Whether layers that behave differently in training do so. See {@link train}. */
  training = true;

  abstract forward(...args: never[]): unknown;

  /** Own state by property: overridden by containers, whose children are not properties. */
  protected members(): [name: string, member: unknown, replace: (tensor: Tensor) => void][] {
    const own = this as unknown as Record<string, unknown>;
    return Object.keys(own).map((key) => [
      stateName(key),
      own[key],
      (tensor) => {
        own[key] = tensor;
      },
    ]);
  }

  /** Direct children with their names. */
  namedChildren(): [string, Module][] {
    return this.members().flatMap(([name, member]) =>
      member instanceof Module ? [[name, member] as [string, Module]] : [],
    );
  }

  /** This module (under the name `prefix`) and every module below it, depth first. */
  namedModules(prefix = ''): [string, Module][] {
    const found: [string, Module][] = [[prefix, this]];
    for (const [name, child] of this.namedChildren()) {
      found.push(...child.namedModules(prefix ? `${prefix}.${name}` : name));
    }
    return found;
  }

  modules(): Module[] {
    return this.namedModules().map(([, module]) => module);
  }

  /** Every parameter below, once each, in the order of definition. */
  namedParameters(): [string, Tensor][] {
    return this.#named(parameters);
  }

  parameters(): Tensor[] {
    return this.namedParameters().map(([, tensor]) => tensor);
  }

  namedBuffers(): [string, Tensor][] {
    return this.#named(buffers);
  }

  #named(kind: WeakSet<Tensor>): [string, Tensor][] {
    const seen = new Set<Tensor>();
    const found: [string, Tensor][] = [];
    for (const [prefix, module] of this.namedModules()) {
      for (const [name, member] of module.members()) {
        if (!(member instanceof Tensor) || !kind.has(member) || seen.has(member)) continue;
        seen.add(member);
        found.push([prefix ? `${prefix}.${name}` : name, member]);
      }
    }
    return found;
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

  /** Live parameters and buffers by name, detached: they share the module's memory. */
  stateDict(): StateDict {
    const state: StateDict = {};
    for (const [name, tensor] of [...this.namedParameters(), ...this.namedBuffers()]) {
      state[name] = tensor.detach();
    }
    return state;
  }

  /**
   * Copies values in by name, converting dtype and device.
   *
   * @param options.strict (default true) missing or unexpected names are errors; shapes always are.
   * @returns the names that were missing and unexpected.
   * @throws {StateDictError} before anything is copied.
   */
  loadStateDict(dict: StateDict, options: { strict?: boolean } = {}): LoadResult {
    const own = new Map([...this.namedParameters(), ...this.namedBuffers()]);
    const missing = [...own.keys()].filter((name) => !(name in dict));
    const unexpected = Object.keys(dict).filter((name) => !own.has(name));
    const problems: string[] = [];
    if (options.strict ?? true) {
      if (missing.length > 0) problems.push(`missing: ${listed(missing)}`);
      if (unexpected.length > 0) problems.push(`unexpected: ${listed(unexpected)}`);
    }
    for (const [name, tensor] of own) {
      const found = dict[name]?.shape;
      if (found && found.join() !== tensor.shape.join()) {
        problems.push(`${name} has shape [${found}], expected [${tensor.shape}]`);
      }
    }
    if (problems.length > 0) {
      throw new StateDictError(
        `State dict does not fit ${this.constructor.name}: ${problems.slice(0, 8).join('; ')}` +
          `${problems.length > 8 ? `; and ${problems.length - 8} more` : ''}. ` +
          'Build the model with the options the checkpoint was saved with (backbone, classes, ' +
          'modalities, mask token), convert foreign checkpoints with an adapter of m3l/models, ' +
          'or pass { strict: false } to accept missing and unexpected names.',
      );
    }
    torch.noGrad(() => {
      for (const [name, tensor] of own) {
        const value = dict[name];
        if (value) tensor.copy_(value);
      }
    });
    return { missing, unexpected };
  }

  /**
   * Moves parameters and buffers to a device, a floating-point dtype or a memory format. Tensors that change are
   * replaced (gradients are dropped): build optimisers afterwards.
   * @throws ArgumentError for an option that `to` does not have, or a dtype that is no float
   */
  to(target: MoveOptions | torch.DType | (string & {})): this {
    const options = moveOptions(target);
    for (const module of this.modules()) {
      for (const [, member, replace] of module.members()) {
        if (!(member instanceof Tensor)) continue;
        const kind = parameters.has(member) ? parameters : buffers.has(member) ? buffers : null;
        if (!kind) continue;
        const dtype = options.dtype && isFloating(member.dtype) ? options.dtype : member.dtype;
        const device = options.device ?? member.device;
        const layout = member.ndim === 4 ? options.memoryFormat : undefined;
        const stays = dtype === member.dtype && sameDevice(device, member.device) && !layout;
        if (stays) continue;
        const moved = register(kind, () =>
          member
            .detach()
            .to({ dtype, device, copy: true, ...(layout && { memoryFormat: layout }) }),
        );
        if (kind === parameters) moved.requiresGrad_(member.requiresGrad);
        member.dispose();
        replace(moved);
      }
    }
    return this;
  }

  /** Releases every parameter and buffer; the module is unusable afterwards. */
  dispose(): void {
    const state = [...this.namedParameters(), ...this.namedBuffers()];
    for (const [, tensor] of state) tensor.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** A module of one tensor in and one out, as containers hold them. */
export interface Layer extends Module {
  forward(x: Tensor): Tensor;
}

const MOVES = ['device', 'dtype', 'memoryFormat'];

function moveOptions(target: MoveOptions | string): MoveOptions {
  if (typeof target === 'string') {
    const isDType = (torch.dtypes as readonly string[]).includes(target);
    return moveOptions(isDType ? { dtype: target as torch.DType } : { device: target });
  }
  if (target === null || typeof target !== 'object') {
    throw new ArgumentError(
      `Module.to: found ${describe(target)}, expected a dtype, a device or { device, dtype, memoryFormat }`,
    );
  }
  const stray = Object.keys(target).find((key) => !MOVES.includes(key));
  if (stray !== undefined) {
    throw new ArgumentError(
      `Module.to: found the option '${stray}', expected one of ${MOVES.join(', ')}`,
    );
  }
  if (target.dtype !== undefined && !isFloating(target.dtype)) {
    throw new ArgumentError(
      `Module.to: found the dtype '${target.dtype}', expected one of floats: only those parameters change`,
    );
  }
  return target;
}

/** Throws M3L_ARGUMENT where `value` is no module. */
export function requireModule(value: unknown, where: string): void {
  if (value instanceof Module) return;
  throw new ArgumentError(`${where}: found ${describe(value)}, expected a module`);
}

function isFloating(dtype: string): boolean {
  return dtype.includes('float');
}

/** `cuda` and `cuda:0` name the same device. */
function sameDevice(a: string, b: string): boolean {
  const full = (device: string) => (device === 'cuda' ? 'cuda:0' : device);
  return full(a) === full(b);
}

function listed(names: string[]): string {
  const shown = names.slice(0, 5).join(', ');
  return names.length > 5 ? `${shown} and ${names.length - 5} more` : shown;
}
