import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { withDefaults } from '../torch/require.js';
import { requireChoice, requireCounts, requireNumbers, requireRank } from './check.js';
import { fanIn_ } from './init.js';
import type { Given } from './layer.js';
import { Module } from './module.js';
import { parameter } from './parameter.js';
import { holdsNoState } from './private-fields.js';
import { signature } from './tree.js';
import { PackedSequence } from './utils/rnn.js';

interface Options {
  numLayers: number;
  bias: boolean;
  /** Sequences as [B,T,in] instead of [T,B,in]. */
  batchFirst: boolean;
  /** Between layers, in training. */
  dropout: number;
  bidirectional: boolean;
}
/** What `RNN` and `GRU` take by name. */
export type RecurrentOptions = Given<Options>;

const DEFAULTS: Options = {
  numLayers: 1,
  bias: true,
  batchFirst: false,
  dropout: 0,
  bidirectional: false,
};

type Flags = [boolean, number, number, boolean, boolean];

/** What an operator of libtorch gives: the output, then the states. */
type Run = (
  x: Tensor,
  batchSizes: Tensor | null,
  states: Tensor[],
  weights: Tensor[],
  flags: Flags,
) => Tensor[];

/** Parameters are properties `weightIhL0`, `weightHhL0`, `biasIhL0Reverse` …, as PyTorch names them. */
abstract class Recurrent extends Module {
  static {
    holdsNoState(Recurrent);
  }

  readonly #names: string[] = [];

  constructor(
    readonly inputSize: number,
    readonly hiddenSize: number,
    gates: number,
    readonly options: Options,
    /** Of the hidden state, where it is projected to another size; 0: it is not. */
    readonly projSize = 0,
  ) {
    super();
    const where = new.target.name;
    const { numLayers, bias, bidirectional, dropout } = options;
    requireCounts(where, { inputSize, hiddenSize, numLayers });
    requireCounts(where, { projSize }, 0);
    requireNumbers(where, { dropout }, 0, 1);
    const rows = gates * hiddenSize;
    const state = projSize || hiddenSize;
    const directions = bidirectional ? 2 : 1;
    for (let layer = 0; layer < numLayers; layer++) {
      const width = layer === 0 ? inputSize : state * directions;
      for (const suffix of bidirectional ? ['', 'Reverse'] : ['']) {
        const shapes = {
          weightIh: [rows, width],
          weightHh: [rows, state],
          ...(bias && { biasIh: [rows], biasHh: [rows] }),
          ...(projSize > 0 && { weightHr: [projSize, hiddenSize] }),
        };
        for (const [kind, shape] of Object.entries(shapes)) {
          const name = `${kind}L${layer}${suffix}`;
          this.#names.push(name);
          Object.assign(this, { [name]: parameter(() => fanIn_(torch.empty(shape), hiddenSize)) });
        }
      }
    }
  }

  /** Zeros [layers·directions, B, size], for the states that were left out. */
  #zeros(batch: number, size: number, like: Tensor): Tensor {
    const { numLayers, bidirectional } = this.options;
    const rows = numLayers * (bidirectional ? 2 : 1);
    return torch.zeros([rows, batch, size], { dtype: like.dtype, device: like.device });
  }

  /**
   * Runs over sequences, one alone [T,in], a batch, or a packed one.
   *
   * @param sizes of the states: a tensor of zeros each where there are none.
   */
  protected run<Sequences extends Tensor | PackedSequence>(
    run: Run,
    x: Sequences,
    states: readonly Tensor[] | undefined,
    sizes: readonly number[],
  ): [output: Sequences, states: Tensor[]] {
    const { numLayers, bias, bidirectional, dropout, batchFirst } = this.options;
    const own = this as unknown as Record<string, Tensor>;
    const weights = this.#names.map((name) => own[name]!);
    const flags: Flags = [bias, numLayers, dropout, this.training, bidirectional];
    if (x instanceof PackedSequence) {
      const batch = Number(x.batchSizes.select(0, 0).item());
      const first = states
        ? states.map((state) => x.sorted(state))
        : sizes.map((size) => this.#zeros(batch, size, x.data));
      const [data, ...last] = run(x.data, x.batchSizes, first, weights, flags);
      return [x.withData(data!) as Sequences, last.map((state) => x.unsorted(state))];
    }
    requireRank(
      this.constructor.name,
      x,
      [2, 3],
      batchFirst ? '[B,T,in] or [T,in]' : '[T,B,in] or [T,in]',
    );
    const single = x.ndim === 2;
    const batchDim = batchFirst ? 0 : 1;
    const batched: Tensor = single ? x.unsqueeze(batchDim) : x;
    const first = states
      ? states.map((state) => (single ? state.unsqueeze(1) : state))
      : sizes.map((size) => this.#zeros(batched.shape[batchDim]!, size, batched));
    const [output, ...last] = run(batched, null, first, weights, flags);
    if (!single) return [output as Sequences, last];
    return [output!.squeeze(batchDim) as Sequences, last.map((state) => state.squeeze(1))];
  }

  protected override details(): string {
    const { inputSize, hiddenSize, projSize, options } = this;
    const all = { ...options, projSize };
    return signature([inputSize, hiddenSize], all, { ...DEFAULTS, projSize: 0 });
  }
}

/** `projSize`: of the hidden state, projected; 0: it is not. */
const LSTM_DEFAULTS = { ...DEFAULTS, projSize: 0 };
/** What `LSTM` takes by name. */
export type LSTMOptions = Given<typeof LSTM_DEFAULTS>;

/**
 * Long short-term memory: [T,B,in] -> [T,B,hidden·directions] and [h, c]; one sequence alone is [T,in],
 * and a `PackedSequence` gives one.
 */
export class LSTM extends Recurrent {
  constructor(inputSize: number, hiddenSize: number, options: LSTMOptions = {}) {
    const { projSize, ...known } = withDefaults(new.target.name, LSTM_DEFAULTS, options);
    super(inputSize, hiddenSize, 4, known, projSize);
  }

  /** @param state h and c, each [layers·directions, B, hidden]; zeros when left out. */
  override forward<Sequences extends Tensor | PackedSequence>(
    x: Sequences,
    state?: readonly [h: Tensor, c: Tensor],
  ): [output: Sequences, state: [h: Tensor, c: Tensor]] {
    const { batchFirst } = this.options;
    const run: Run = (data, batchSizes, states, weights, flags) =>
      batchSizes
        ? torch.lstm(data, batchSizes, states, weights, ...flags)
        : torch.lstm(data, states, weights, ...flags, batchFirst);
    const sizes = [this.projSize || this.hiddenSize, this.hiddenSize];
    const [output, [h, c]] = this.run(run, x, state, sizes);
    return [output, [h!, c!]];
  }
}

/** Gated recurrent units: [T,B,in] -> [T,B,hidden·directions] and h; otherwise as {@link LSTM}. */
export class GRU extends Recurrent {
  constructor(inputSize: number, hiddenSize: number, options: RecurrentOptions = {}) {
    super(inputSize, hiddenSize, 3, withDefaults(new.target.name, DEFAULTS, options));
  }

  /** @param h [layers·directions, B, hidden]; zeros when left out. */
  override forward<Sequences extends Tensor | PackedSequence>(
    x: Sequences,
    h?: Tensor,
  ): [output: Sequences, h: Tensor] {
    const { batchFirst } = this.options;
    const run: Run = (data, batchSizes, [first], weights, flags) =>
      batchSizes
        ? torch.gru(data, batchSizes, first!, weights, ...flags)
        : torch.gru(data, first!, weights, ...flags, batchFirst);
    const [output, [last]] = this.run(run, x, h && [h], [this.hiddenSize]);
    return [output, last!];
  }
}

type Nonlinearity = 'tanh' | 'relu';

/** Elman's network: [T,B,in] -> [T,B,hidden·directions] and h; otherwise as {@link LSTM}. */
export class RNN extends Recurrent {
  readonly nonlinearity: Nonlinearity;

  constructor(
    inputSize: number,
    hiddenSize: number,
    options: Given<Options & { nonlinearity: Nonlinearity }> = {},
  ) {
    const defaults: Options & { nonlinearity: Nonlinearity } = {
      ...DEFAULTS,
      nonlinearity: 'tanh',
    };
    const { nonlinearity, ...known } = withDefaults(new.target.name, defaults, options);
    requireChoice(new.target.name, 'nonlinearity', nonlinearity, ['tanh', 'relu']);
    super(inputSize, hiddenSize, 1, known);
    this.nonlinearity = nonlinearity;
  }

  /** @param h [layers·directions, B, hidden]; zeros when left out. */
  override forward<Sequences extends Tensor | PackedSequence>(
    x: Sequences,
    h?: Tensor,
  ): [output: Sequences, h: Tensor] {
    const { batchFirst } = this.options;
    const operator = this.nonlinearity === 'relu' ? torch.rnnRelu : torch.rnnTanh;
    const run: Run = (data, batchSizes, [first], weights, flags) =>
      batchSizes
        ? operator(data, batchSizes, first!, weights, ...flags)
        : operator(data, first!, weights, ...flags, batchFirst);
    const [output, [last]] = this.run(run, x, h && [h], [this.hiddenSize]);
    return [output, last!];
  }
}
