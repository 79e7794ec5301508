import { ArgumentError } from '../torch/errors.js';
import { Tensor } from '../torch/index.js';
import { withDefaults } from '../torch/require.js';
import { requireKinds } from './check.js';
import { Module } from './module.js';
import { buffer } from './parameter.js';
import { holdsNoState } from './private-fields.js';
import { signature } from './tree.js';

/** Some of the options: those left out, or `undefined`, keep their defaults. */
export type Given<Options> = { [Key in keyof Options]?: Options[Key] | undefined };

/** The base of layers that are a function with its arguments kept. */
export abstract class FunctionLayer<Options extends object> extends Module {
  /** Every option of the layer, defaults filled in. */
  abstract readonly options: Options;

  abstract override forward(...inputs: never[]): Tensor;
}

export interface UnaryLayer<Options extends object> extends FunctionLayer<Options> {
  readonly options: Options;
  forward(x: Tensor): Tensor;
}

/** Throws ArgumentError where the arguments of `where` can never be right. */
export type Check<Args extends unknown[]> = (where: string, ...args: Args) => void;

/** The class of a layer without arguments. */
export function plainLayer(apply: (x: Tensor) => Tensor): new () => UnaryLayer<object> {
  return layerWith<[], object>((x) => apply(x), [], {});
}

/** The class of the layer x -> apply(x, options). */
export function layerOf<Options extends object>(
  apply: (x: Tensor, options: Given<Options>) => Tensor,
  defaults: Options,
  check?: Check<[Options]>,
): new (
  options?: Given<Options>,
) => UnaryLayer<Options> {
  return layerWith<[], Options>(apply, [], defaults, check);
}

/**
 * The class of the layer x -> apply(x, ...required, options), whose constructor takes the same
 * arguments but x.
 *
 * @param required the names of the arguments that cannot be left out
 * @param check throws where arguments can never be right, with what name they are called by
 * @throws ArgumentError by the constructor: a required argument is missing, an option unknown
 */
export function layerWith<Required extends unknown[], Options extends object>(
  apply: (x: Tensor, ...args: [...Required, Given<Options>]) => Tensor,
  required: readonly string[],
  defaults: Options,
  check?: Check<[...Required, Options]>,
): new (
  ...args: [...Required, options?: Given<Options>]
) => UnaryLayer<Options> {
  return class Layer extends FunctionLayer<Options> {
    static {
      holdsNoState(Layer);
    }

    readonly options: Options;
    readonly #args: [...Required, Options];

    constructor(...args: [...Required, options?: Given<Options>]) {
      super();
      const name = new.target.name;
      for (const [index, label] of required.entries()) {
        if (args[index] !== undefined) continue;
        throw new ArgumentError(`${name}: found undefined, expected ${label}`);
      }
      const options = (args[required.length] ?? {}) as Given<Options>;
      this.options = withDefaults(name, defaults, options);
      requireKinds(name, this.options, defaults);
      const values = args.slice(0, required.length) as [...Required];
      this.#args = [...values, this.options];
      check?.(name, ...this.#args);
    }

    override forward(x: Tensor): Tensor {
      return apply(x, ...this.#args);
    }

    protected override details(): string {
      return signature(this.#args.slice(0, required.length), this.options, defaults);
    }
  };
}

export interface PairLayer<Options extends object> extends FunctionLayer<Options> {
  readonly options: Options;
  forward(input: Tensor, target: Tensor): Tensor;
}

export interface TripleLayer<Options extends object> extends FunctionLayer<Options> {
  readonly options: Options;
  forward(first: Tensor, second: Tensor, third: Tensor): Tensor;
}

/**
 * The class of a layer of several inputs, apply(...inputs, options): losses and distances. Options
 * that are tensors (weights of classes) are buffers of the layer, as in PyTorch.
 */
export function inputLayerOf<Kind extends FunctionLayer<object>>(
  apply: (...args: never[]) => Tensor,
  defaults: Kind['options'],
  check?: Check<[Kind['options']]>,
): new (
  options?: Given<Kind['options']>,
) => Kind {
  class InputLayer extends FunctionLayer<object> {
    readonly options: object;

    constructor(options: Given<object> = {}) {
      super();
      this.options = withDefaults<object>(new.target.name, defaults, options);
      requireKinds(new.target.name, this.options, defaults);
      check?.(new.target.name, this.options);
      for (const [key, value] of Object.entries(this.options)) {
        if (value instanceof Tensor) Object.assign(this, { [key]: buffer(value) });
      }
    }

    override forward(...inputs: never[]): Tensor {
      const own = this as unknown as Record<string, unknown>;
      const tensors = Object.keys(this.options).filter((key) => own[key] instanceof Tensor);
      const moved = Object.fromEntries(tensors.map((key) => [key, own[key]]));
      return apply(...inputs, { ...this.options, ...moved } as never);
    }

    protected override details(): string {
      return signature([], this.options, defaults);
    }
  }
  return InputLayer as unknown as new (
    options?: Given<Kind['options']>,
  ) => Kind;
}
