import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { withDefaults } from '../torch/require.js';
import { requireChoice, requireCounts, requireRank } from './check.js';
import { fanIn_ } from './init.js';
import { Module } from './module.js';
import { parameter } from './parameter.js';
import { signature } from './tree.js';

/** What a recurrent cell takes by name. */
export interface CellOptions {
  bias?: boolean | undefined;
}
const DEFAULTS = { bias: true };

/** One step of a recurrent network. */
abstract class Cell extends Module {
  readonly weightIh: Tensor;
  readonly weightHh: Tensor;
  readonly biasIh: Tensor | null;
  readonly biasHh: Tensor | null;

  constructor(
    readonly inputSize: number,
    readonly hiddenSize: number,
    gates: number,
    options: CellOptions,
  ) {
    super();
    const where = new.target.name;
    const { bias } = withDefaults(where, DEFAULTS, options);
    requireCounts(where, { inputSize, hiddenSize });
    const made = (...shape: number[]) => parameter(() => fanIn_(torch.empty(shape), hiddenSize));
    const rows = gates * hiddenSize;
    this.weightIh = made(rows, inputSize);
    this.weightHh = made(rows, hiddenSize);
    this.biasIh = bias ? made(rows) : null;
    this.biasHh = bias ? made(rows) : null;
  }

  /** Runs a step of a batch [B,in], or of one sample [in], whose states have no batch either. */
  protected step(
    x: Tensor,
    states: readonly Tensor[] | undefined,
    count: number,
    run: (x: Tensor, states: Tensor[]) => Tensor[],
  ): Tensor[] {
    requireRank(this.constructor.name, x, [1, 2], '[B,in] or [in]');
    const single = x.ndim === 1;
    const batch = single ? x.unsqueeze(0) : x;
    const shape = [batch.shape[0]!, this.hiddenSize];
    const zeros = () => torch.zeros(shape, { dtype: x.dtype, device: x.device });
    const before = states
      ? states.map((state) => (single ? state.unsqueeze(0) : state))
      : Array.from({ length: count }, zeros);
    const after = run(batch, before);
    return single ? after.map((state) => state.squeeze(0)) : after;
  }

  protected override details(): string {
    return signature([this.inputSize, this.hiddenSize], { bias: this.biasIh !== null }, DEFAULTS);
  }
}

type Nonlinearity = 'tanh' | 'relu';

/** A step of Elman's network: [B,in] and h [B,hidden] -> the next h. */
export class RNNCell extends Cell {
  readonly nonlinearity: Nonlinearity;

  constructor(
    inputSize: number,
    hiddenSize: number,
    options: CellOptions & { nonlinearity?: Nonlinearity | undefined } = {},
  ) {
    const defaults: { bias: boolean; nonlinearity: Nonlinearity } = {
      ...DEFAULTS,
      nonlinearity: 'tanh',
    };
    const { nonlinearity, bias } = withDefaults(new.target.name, defaults, options);
    requireChoice(new.target.name, 'nonlinearity', nonlinearity, ['tanh', 'relu']);
    super(inputSize, hiddenSize, 1, { bias });
    this.nonlinearity = nonlinearity;
  }

  override forward(x: Tensor, h?: Tensor): Tensor {
    const { weightIh, weightHh, biasIh, biasHh } = this;
    const operator = this.nonlinearity === 'relu' ? torch.rnnReluCell : torch.rnnTanhCell;
    return this.step(x, h && [h], 1, (batch, [before]) => [
      operator(batch, before!, weightIh, weightHh, biasIh, biasHh),
    ])[0]!;
  }
}

/** A step of gated recurrent units: [B,in] and h [B,hidden] -> the next h. */
export class GRUCell extends Cell {
  constructor(inputSize: number, hiddenSize: number, options: CellOptions = {}) {
    super(inputSize, hiddenSize, 3, options);
  }

  override forward(x: Tensor, h?: Tensor): Tensor {
    const { weightIh, weightHh, biasIh, biasHh } = this;
    return this.step(x, h && [h], 1, (batch, [before]) => [
      torch.gruCell(batch, before!, weightIh, weightHh, biasIh, biasHh),
    ])[0]!;
  }
}

/** A step of long short-term memory: [B,in] and [h, c] of [B,hidden] -> the next [h, c]. */
export class LSTMCell extends Cell {
  constructor(inputSize: number, hiddenSize: number, options: CellOptions = {}) {
    super(inputSize, hiddenSize, 4, options);
  }

  override forward(x: Tensor, state?: readonly [h: Tensor, c: Tensor]): [h: Tensor, c: Tensor] {
    const { weightIh, weightHh, biasIh, biasHh } = this;
    const [h, c] = this.step(x, state, 2, (batch, before) =>
      torch.lstmCell(batch, before, weightIh, weightHh, biasIh, biasHh),
    );
    return [h!, c!];
  }
}
