import { M3lError } from '../torch/errors.js';
import type { Tensor } from '../torch/index.js';
import { requireIterable, requireObject } from '../torch/require.js';
import { type Layer, Module, requireModule } from './module.js';

type Members = ReturnType<Module['members']>;

/** Children by index: state-dict names `0`, `1`, … */
export class ModuleList<T extends Module = Module> extends Module {
  readonly #list: T[];

  constructor(list: Iterable<T> = []) {
    super();
    requireIterable(list, 'ModuleList');
    this.#list = [];
    this.push(...list);
  }

  get length(): number {
    return this.#list.length;
  }

  /**
   * The child at an index; negative ones count from the end.
   * @throws {M3lError} `M3L_NN_CHILD` when there is none.
   */
  at(index: number): T {
    const found = this.#list.at(index);
    if (found) return found;
    throw new M3lError('M3L_NN_CHILD', `No module ${index} in a list of ${this.length}.`);
  }

  push(...modules: T[]): this {
    for (const module of modules) requireModule(module, this.constructor.name);
    this.#list.push(...modules);
    return this;
  }

  [Symbol.iterator](): IterableIterator<T> {
    return this.#list[Symbol.iterator]();
  }

  protected override members(): Members {
    return this.#list.map((module, index) => [String(index), module, () => {}]);
  }

  override forward(..._args: never[]): unknown {
    throw new M3lError('M3L_NN_FORWARD', 'A ModuleList has no forward: call its modules.');
  }
}

/** Children by name, as given: names are not converted to snake_case. */
export class ModuleDict<T extends Module = Module> extends Module {
  readonly #map: Map<string, T>;

  constructor(entries: Record<string, T> = {}) {
    super();
    requireObject(entries, 'ModuleDict', 'modules by name');
    this.#map = new Map(Object.entries(entries));
    for (const module of this.#map.values()) requireModule(module, 'ModuleDict');
  }

  /** @throws {M3lError} `M3L_NN_CHILD` when there is no such child. */
  get(name: string): T {
    const found = this.#map.get(name);
    if (found) return found;
    const known = [...this.#map.keys()].join(', ');
    throw new M3lError('M3L_NN_CHILD', `No module '${name}', only ${known}.`);
  }

  values(): T[] {
    return [...this.#map.values()];
  }

  entries(): [string, T][] {
    return [...this.#map];
  }

  protected override members(): Members {
    return [...this.#map].map(([name, module]) => [name, module, () => {}]);
  }

  override forward(..._args: never[]): unknown {
    throw new M3lError('M3L_NN_FORWARD', 'A ModuleDict has no forward: call its modules.');
  }
}

/** Layers one after another. */
export class Sequential extends ModuleList<Layer> {
  constructor(...layers: Layer[]) {
    super(layers);
  }

  override forward(x: Tensor): Tensor {
    let out = x;
    for (const layer of this) out = layer.forward(out);
    return out;
  }
}
