import { ArgumentError, describe, M3lError } from '../torch/errors.js';
import { Tensor } from '../torch/index.js';
import { requireIterable, requireObject, requireText } from '../torch/require.js';
import { type Layer, type Member, Module, requireModule } from './module.js';
import { parameter, roleOf } from './parameter.js';
import { holdsNoState } from './private-fields.js';

function noForward(name: string): never {
  throw new M3lError('M3L_NN_FORWARD', `A ${name} has no forward: use what it holds.`);
}

/** What it holds by index. Properties that a subclass adds are members too. */
abstract class List<T> extends Module {
  static {
    holdsNoState(List);
  }

  readonly #list: T[] = [];

  get length(): number {
    return this.#list.length;
  }

  /**
   * The member at an index; negative ones count from the end.
   * @throws {M3lError} `M3L_NN_CHILD` when there is none.
   */
  at(index: number): T {
    const found = this.#list.at(index);
    if (found !== undefined) return found;
    throw new M3lError('M3L_NN_CHILD', `No module ${index} in a list of ${this.length}.`);
  }

  [Symbol.iterator](): IterableIterator<T> {
    return this.#list[Symbol.iterator]();
  }

  protected add(members: readonly T[]): void {
    this.#list.push(...members);
  }

  protected override members(): Member[] {
    const list = this.#list.map(
      (member, index): Member => [
        String(index),
        member,
        (tensor) => {
          this.#list[index] = tensor as T;
        },
      ],
    );
    return [...super.members(), ...list];
  }

  override forward(..._args: never[]): unknown {
    return noForward(this.constructor.name);
  }
}

/** Children by index: state-dict names `0`, `1`, … */
export class ModuleList<T extends Module = Module> extends List<T> {
  constructor(list: Iterable<T> = []) {
    super();
    requireIterable(list, new.target.name);
    this.push(...list);
  }

  push(...modules: T[]): this {
    for (const module of modules) requireModule(module, this.constructor.name);
    this.add(modules);
    return this;
  }
}

/** Parameters by index: state-dict names `0`, `1`, … Tensors that are none become parameters. */
export class ParameterList extends List<Tensor> {
  constructor(list: Iterable<Tensor> = []) {
    super();
    requireIterable(list, new.target.name);
    this.push(...list);
  }

  push(...tensors: Tensor[]): this {
    this.add(tensors.map((tensor) => asParameter(tensor, this.constructor.name)));
    return this;
  }

  protected override details(): string {
    return [...this].map(({ shape, dtype }) => `${dtype} [${shape}]`).join(', ');
  }
}

/** What it holds by name, as given: names are not converted to snake_case. */
abstract class Dict<T> extends Module {
  static {
    holdsNoState(Dict);
  }

  readonly #map = new Map<string, T>();

  /** @throws {M3lError} `M3L_NN_CHILD` when there is none of the name. */
  get(name: string): T {
    const found = this.#map.get(name);
    if (found !== undefined) return found;
    const known = [...this.#map.keys()].join(', ');
    throw new M3lError('M3L_NN_CHILD', `No module '${name}', only ${known}.`);
  }

  has(name: string): boolean {
    return this.#map.has(name);
  }

  keys(): string[] {
    return [...this.#map.keys()];
  }

  values(): T[] {
    return [...this.#map.values()];
  }

  entries(): [string, T][] {
    return [...this.#map];
  }

  protected put(name: string, member: T): void {
    const where = this.constructor.name;
    requireText(name, where, 'a name');
    if (name === '' || name.includes('.')) {
      throw new ArgumentError(
        `${where}: found ${describe(name)}, expected a name without dots: they join names in state dicts`,
      );
    }
    this.#map.set(name, member);
  }

  protected override members(): Member[] {
    const map = [...this.#map].map(
      ([name, member]): Member => [name, member, (tensor) => void this.#map.set(name, tensor as T)],
    );
    return [...super.members(), ...map];
  }

  override forward(..._args: never[]): unknown {
    return noForward(this.constructor.name);
  }
}

/** Children by name, as given: names are not converted to snake_case. */
export class ModuleDict<T extends Module = Module> extends Dict<T> {
  constructor(entries: Record<string, T> = {}) {
    super();
    requireObject(entries, 'ModuleDict', 'modules by name');
    for (const [name, module] of Object.entries(entries)) this.set(name, module);
  }

  set(name: string, module: T): this {
    requireModule(module, 'ModuleDict');
    this.put(name, module);
    return this;
  }
}

/** Parameters by name, as given. Tensors that are none become parameters. */
export class ParameterDict extends Dict<Tensor> {
  constructor(entries: Record<string, Tensor> = {}) {
    super();
    requireObject(entries, 'ParameterDict', 'tensors by name');
    for (const [name, tensor] of Object.entries(entries)) this.set(name, tensor);
  }

  set(name: string, tensor: Tensor): this {
    this.put(name, asParameter(tensor, 'ParameterDict'));
    return this;
  }

  protected override details(): string {
    return this.entries()
      .map(([name, { shape, dtype }]) => `${name}: ${dtype} [${shape}]`)
      .join(', ');
  }
}

function asParameter(tensor: unknown, where: string): Tensor {
  if (!(tensor instanceof Tensor)) {
    throw new ArgumentError(`${where}: found ${describe(tensor)}, expected a Tensor`);
  }
  return roleOf(tensor) ? tensor : parameter(tensor);
}

/** A function as a layer without state. */
class Lambda extends Module {
  static {
    holdsNoState(Lambda);
  }

  readonly #apply: (x: Tensor) => Tensor;

  constructor(apply: (x: Tensor) => Tensor) {
    super();
    this.#apply = apply;
  }

  override forward(x: Tensor): Tensor {
    return this.#apply(x);
  }

  protected override details(): string {
    return this.#apply.name;
  }
}

/** Layers, or functions of a tensor, one after another. */
export class Sequential extends ModuleList<Layer> {
  constructor(...layers: (Layer | ((x: Tensor) => Tensor))[]) {
    super(layers.map((layer) => (isFunction(layer) ? new Lambda(layer) : layer)));
  }

  override forward(x: Tensor): Tensor {
    let out = x;
    for (const layer of this) out = layer.forward(out);
    return out;
  }
}

/** No class by mistake: `nn.ReLU` for `new nn.ReLU()`. */
function isFunction(layer: unknown): layer is (x: Tensor) => Tensor {
  return typeof layer === 'function' && !(layer.prototype instanceof Module);
}
