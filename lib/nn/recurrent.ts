import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { withDefaults } from '../torch/require.js';
import { fanIn_ } from './init.js';
import type { Given } from './layer.js';
import { Module } from './module.js';
import { parameter } from './parameter.js';

interface Options {
  numLayers: number;
  bias: boolean;
  /** Sequences as [B,T,in] instead of [T,B,in]. */
  batchFirst: boolean;
  /** Between layers, in training. */
  dropout: number;
  bidirectional: boolean;
}
export type RecurrentOptions = Given<Options>;

const DEFAULTS: Options = {
  numLayers: 1,
  bias: true,
  batchFirst: false,
  dropout: 0,
  bidirectional: false,
};

/** Parameters are properties `weightIhL0`, `weightHhL0`, `biasIhL0Reverse` …, as PyTorch names them. */
abstract class Recurrent extends Module {
  readonly options: Options;

  constructor(
    readonly inputSize: number,
    readonly hiddenSize: number,
    gates: number,
    options: RecurrentOptions,
  ) {
    super();
    this.options = withDefaults(new.target.name, DEFAULTS, options);
    const { numLayers, bias, bidirectional } = this.options;
    const rows = gates * hiddenSize;
    const directions = bidirectional ? 2 : 1;
    for (let layer = 0; layer < numLayers; layer++) {
      const width = layer === 0 ? inputSize : hiddenSize * directions;
      for (const suffix of bidirectional ? ['', 'Reverse'] : ['']) {
        const shapes = { weightIh: [rows, width], weightHh: [rows, hiddenSize] };
        const biases = bias ? { biasIh: [rows], biasHh: [rows] } : {};
        for (const [name, shape] of Object.entries({ ...shapes, ...biases })) {
          const made = parameter(() => fanIn_(torch.empty(shape), hiddenSize));
          Object.assign(this, { [`${name}L${layer}${suffix}`]: made });
        }
      }
    }
  }

  protected get initialRows(): number {
    return this.options.numLayers * (this.options.bidirectional ? 2 : 1);
  }

  /** Zeros [layers·directions, B, hidden] for a batch of sequences. */
  protected initial(x: Tensor): Tensor {
    const batch = x.shape[this.options.batchFirst ? 0 : 1]!;
    const shape = [this.initialRows, batch, this.hiddenSize];
    return torch.zeros(shape, { dtype: x.dtype, device: x.device });
  }

  protected get flags(): [boolean, number, number, boolean, boolean, boolean] {
    const { bias, numLayers, dropout, bidirectional, batchFirst } = this.options;
    return [bias, numLayers, dropout, this.training, bidirectional, batchFirst];
  }
}

/** Long short-term memory: [T,B,in] -> [T,B,hidden·directions] and [h, c]. */
export class LSTM extends Recurrent {
  constructor(inputSize: number, hiddenSize: number, options: RecurrentOptions = {}) {
    super(inputSize, hiddenSize, 4, options);
  }

  /** @param state h and c [layers·directions, B, hidden]; zeros when left out. */
  override forward(
    x: Tensor,
    state: readonly [h: Tensor, c: Tensor] = [this.initial(x), this.initial(x)],
  ): [output: Tensor, state: [h: Tensor, c: Tensor]] {
    const [output, h, c] = torch.lstm(x, state, this.parameters(), ...this.flags);
    return [output, [h, c]];
  }
}

/** Gated recurrent units: [T,B,in] -> [T,B,hidden·directions] and h. */
export class GRU extends Recurrent {
  constructor(inputSize: number, hiddenSize: number, options: RecurrentOptions = {}) {
    super(inputSize, hiddenSize, 3, options);
  }

  override forward(x: Tensor, h: Tensor = this.initial(x)): [output: Tensor, h: Tensor] {
    return torch.gru(x, h, this.parameters(), ...this.flags);
  }
}

/** Elman's network: [T,B,in] -> [T,B,hidden·directions] and h. */
export class RNN extends Recurrent {
  readonly nonlinearity: 'tanh' | 'relu';

  constructor(
    inputSize: number,
    hiddenSize: number,
    options: RecurrentOptions & { nonlinearity?: 'tanh' | 'relu' } = {},
  ) {
    const { nonlinearity = 'tanh', ...others } = options;
    super(inputSize, hiddenSize, 1, others);
    this.nonlinearity = nonlinearity;
  }

  override forward(x: Tensor, h: Tensor = this.initial(x)): [output: Tensor, h: Tensor] {
    const operator = this.nonlinearity === 'relu' ? torch.rnnRelu : torch.rnnTanh;
    return operator(x, h, this.parameters(), ...this.flags);
  }
}
