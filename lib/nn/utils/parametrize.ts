/** Parameters that are computed from others, by modules. */
import { ensureSynchronous } from '../../torch/autograd.js';
import { ArgumentError, describe } from '../../torch/errors.js';
import * as torch from '../../torch/index.js';
import { Tensor } from '../../torch/index.js';
import { requireFunction, withDefaults } from '../../torch/require.js';
import { ModuleDict, ModuleList } from '../container.js';
import { type Module, requireModule, stateName } from '../module.js';
import { register, roleOf } from '../parameter.js';
import { assign, compute, fieldsOf, restore, stateAt } from './computed.js';

/** A module that computes a tensor from another, or from several that its inverse gives. */
export interface Parametrization extends Module {
  forward(...originals: Tensor[]): Tensor;
  /** What `forward` gives the value for. Without it a value is taken as it is, and none can be set later. */
  rightInverse?: ((value: Tensor) => Tensor | readonly Tensor[]) | undefined;
}

/** While `cached` runs: what was computed, with and without a graph. */
let cache: Map<ParametrizationList, Map<boolean, Tensor>> | null = null;

/** The parametrizations of one tensor, and the state that it is computed from. */
export class ParametrizationList extends ModuleList<Parametrization> {
  /** `original`, or `original0`, `original1`, … where an inverse gave several. */
  readonly originals: readonly string[];

  /**
   * Internal: see {@link registerParametrization}.
   * @param inverse what `original`, whose place it takes, is computed from
   */
  constructor(first: Parametrization, original: Tensor, inverse: Tensor | readonly Tensor[]) {
    super([first]);
    if (inverse instanceof Tensor) {
      requireAlike('rightInverse', inverse, original, ['dtype', 'device']);
      if (inverse !== original) assign(original, inverse);
      this.originals = ['original'];
      Object.assign(this, { original });
      return;
    }
    this.originals = inverse.map((_, i) => `original${i}`);
    const role = roleOf(original)!;
    for (const [i, name] of this.originals.entries()) {
      const held = register(role, () => inverse[i]!.clone());
      Object.assign(this, { [name]: held.requiresGrad_(original.requiresGrad) });
    }
  }

  /** The tensors that the value is computed from, in the order in which the first is given them. */
  tensors(): Tensor[] {
    return this.originals.map((name) => fieldsOf(this)[name] as Tensor);
  }

  override forward(): Tensor {
    const [first, ...others] = this;
    return others.reduce((x, each) => each.forward(x), first!.forward(...this.tensors()));
  }

  /** The value now; within {@link cached} it is computed once. */
  value(): Tensor {
    if (cache === null) return this.forward();
    const known = cache.get(this) ?? new Map<boolean, Tensor>();
    cache.set(this, known);
    const mode = torch.isGradEnabled();
    // An alias: what is released in the end must never be the state itself.
    const value =
      known.get(mode) ?? torch.detached(() => torch.scope(() => this.forward().alias()));
    known.set(mode, value);
    return value;
  }

  /**
   * Sets the state such that `value` is computed from it.
   * @throws ArgumentError where a parametrization has no inverse, or one that does not fit the state
   */
  rightInverse(value: Tensor): void {
    torch.scope(() =>
      torch.noGrad(() => {
        const inverse = [...this].reduceRight<Tensor | readonly Tensor[]>((x, each) => {
          if (each.rightInverse && x instanceof Tensor) return each.rightInverse(x);
          throw new ArgumentError(
            `${each.constructor.name}: found no rightInverse, expected one: a value can be set only where what it is computed from can be told`,
          );
        }, value);
        const own = this.tensors();
        const found = inverse instanceof Tensor ? [inverse] : inverse;
        requireTensors(found);
        if (found.length !== own.length) {
          throw new ArgumentError(
            `rightInverse: found ${found.length} tensors, expected ${own.length}`,
          );
        }
        for (const [i, tensor] of own.entries()) {
          requireAlike('rightInverse', found[i]!, tensor, ['dtype']);
          assign(tensor, found[i]!);
        }
      }),
    );
  }
}

/**
 * Has a parameter or buffer of a module computed by `parametrization` wherever it is read, from what is its
 * value now (or the inverse's of it); a further one computes from what those before give. The state dict
 * has `parametrizations.NAME.original` (or `original0`, …) in the place of NAME, as in PyTorch.
 *
 * @param name of the property: `weight`
 * @param options.unsafe allows another shape or dtype than before
 * @returns the module
 * @throws ArgumentError for a tensor that there is not, or a parametrization that changes shape or dtype
 */
export function registerParametrization<M extends Module>(
  module: M,
  name: string,
  parametrization: Parametrization,
  options: { unsafe?: boolean } = {},
): M {
  const where = 'registerParametrization';
  const { unsafe } = withDefaults(where, { unsafe: false }, options);
  requireModule(module, where);
  requireModule(parametrization, where);
  parametrization.train(module.training);
  const known = found(module, name);
  if (known) {
    if (!unsafe) torch.scope(() => requireFits(parametrization, known.value()));
    known.push(parametrization);
    return module;
  }
  const original = stateAt(where, module, name);
  const list = torch.scope(() =>
    torch.noGrad(() => {
      const inverse = parametrization.rightInverse?.(original) ?? original;
      const tensors = inverse instanceof Tensor ? [inverse] : inverse;
      requireTensors(tensors);
      const { shape, dtype } = original;
      if (!unsafe) requireSame(parametrization.forward(...tensors), shape, dtype);
      return new ParametrizationList(parametrization, original, inverse);
    }),
  );
  const fields = fieldsOf(module);
  fields.parametrizations ??= new ModuleDict();
  (fields.parametrizations as ModuleDict<ParametrizationList>).set(stateName(name), list);
  compute(
    module,
    name,
    () => list.value(),
    (value) => list.rightInverse(value),
  );
  return module;
}

/** Whether a tensor of a module, or any, is computed by parametrizations. */
export function isParametrized(module: Module, name?: string): boolean {
  requireModule(module, 'isParametrized');
  return name === undefined ? 'parametrizations' in module : found(module, name) !== undefined;
}

/**
 * The parametrizations of a tensor, with the state that it is computed from.
 * @throws ArgumentError where it has none
 */
export function parametrizationsOf(module: Module, name: string): ParametrizationList {
  requireModule(module, 'parametrizationsOf');
  const list = found(module, name);
  if (list) return list;
  throw new ArgumentError(
    `${module.constructor.name}: found no parametrization of '${name}', expected one: registerParametrization`,
  );
}

/**
 * Makes a tensor an ordinary one again.
 *
 * @param options.leaveParametrized (default true) with the value that was computed; false: with the
 *   original's
 * @returns the module
 * @throws ArgumentError where it has no parametrization, or no single original to go back to
 */
export function removeParametrizations<M extends Module>(
  module: M,
  name: string,
  options: { leaveParametrized?: boolean } = {},
): M {
  const defaults = { leaveParametrized: true };
  const { leaveParametrized } = withDefaults('removeParametrizations', defaults, options);
  const list = parametrizationsOf(module, name);
  const [original, ...others] = list.tensors() as [Tensor, ...Tensor[]];
  if (others.length > 0 && !leaveParametrized) {
    throw new ArgumentError(
      `removeParametrizations: found ${1 + others.length} originals of '${name}', expected one to go back to: leaveParametrized: true keeps the value`,
    );
  }
  if (leaveParametrized) torch.scope(() => torch.noGrad(() => assign(original, list.forward())));
  restore(module, name, original);
  torch.dispose(others);
  for (const each of list) each.dispose();
  const lists = fieldsOf(module).parametrizations as ModuleDict<ParametrizationList>;
  const left = lists.entries().filter(([key]) => key !== stateName(name));
  if (left.length === 0) delete fieldsOf(module).parametrizations;
  else fieldsOf(module).parametrizations = new ModuleDict(Object.fromEntries(left));
  return module;
}

/**
 * Runs synchronous `fn`, within which every parametrized tensor is computed once, however often it is read
 * (with and without a graph each). Those values live as long as the call; parameters must not change in it.
 */
export function cached<T>(fn: () => T): T {
  requireFunction(fn, 'cached');
  if (cache !== null) return fn();
  const mine = new Map<ParametrizationList, Map<boolean, Tensor>>();
  cache = mine;
  try {
    return ensureSynchronous(fn(), 'cached');
  } finally {
    cache = null;
    torch.dispose(mine);
  }
}

function found(module: Module, name: string): ParametrizationList | undefined {
  const lists = fieldsOf(module).parametrizations;
  const key = stateName(name);
  return lists instanceof ModuleDict && lists.has(key)
    ? (lists.get(key) as ParametrizationList)
    : undefined;
}

function requireFits(parametrization: Parametrization, before: Tensor): void {
  torch.noGrad(() => {
    const after = parametrization.forward(before);
    requireSame(after, before.shape, before.dtype);
    const back = parametrization.rightInverse?.(after) ?? after;
    if (back instanceof Tensor) return requireSame(back, before.shape, before.dtype);
    throw new ArgumentError(
      `rightInverse: found ${describe(back)}, expected a tensor: only the first parametrization may have several originals`,
    );
  });
}

function requireSame(value: unknown, shape: readonly number[], dtype: string): void {
  if (!(value instanceof Tensor)) {
    throw new ArgumentError(`a parametrization gave ${describe(value)}, expected a Tensor`);
  }
  if (value.shape.join() === shape.join() && value.dtype === dtype) return;
  throw new ArgumentError(
    `a parametrization gave ${value.dtype} [${value.shape}], expected ${dtype} [${shape}] as before; unsafe: true allows it`,
  );
}

function requireAlike(
  where: string,
  value: Tensor,
  own: Tensor,
  names: readonly ('dtype' | 'device')[],
): void {
  const name = names.find((each) => value[each] !== own[each]);
  if (name === undefined) return;
  throw new ArgumentError(`${where}: found ${name} ${value[name]}, expected ${own[name]}`);
}

function requireTensors(list: unknown): asserts list is readonly Tensor[] {
  const fits = Array.isArray(list) && list.length > 0;
  if (fits && list.every((each) => each instanceof Tensor)) return;
  throw new ArgumentError(`rightInverse: found ${describe(list)}, expected a tensor or several`);
}
