import { nn, torch } from 'm3l';
import { describe, expect, it } from 'vitest';

const { clipGradNorm_, clipGradValue_, getTotalNorm, parametersToVector, vectorToParameters, rnn } =
  nn.utils;

function withGradients(...gradients: number[][]): torch.Tensor[] {
  return gradients.map((gradient) => {
    const tensor = torch.zeros([gradient.length]).requiresGrad_();
    tensor.grad = torch.tensor(gradient, { dtype: 'float32' });
    return tensor;
  });
}

describe('gradients', () => {
  it('are scaled down together to a norm, and those below it stay', () => {
    torch.scope(() => {
      const params = [...withGradients([3], [0, 4]), torch.zeros([2]).requiresGrad_()];
      const before = torch.memory().tensors;
      const total = clipGradNorm_(params, 10);
      expect(total.item()).toBe(5);
      expect(params[0]!.grad!.toArray()).toEqual([3]);
      clipGradNorm_(params, 1);
      expect(params[0]!.grad).toBeCloseToTensor([0.6], { rtol: 1e-5 });
      expect(params[1]!.grad).toBeCloseToTensor([0, 0.8], { rtol: 1e-5 });
      expect(params[2]!.grad).toBeNull();
      expect(torch.memory().tensors - before).toBeLessThanOrEqual(9);
    });
  });

  it('have norms of every order, over dtypes too', () => {
    torch.scope(() => {
      const tensors = [torch.tensor([-3, 1]), torch.tensor([2], { dtype: 'float64' })];
      expect(getTotalNorm(tensors, { normType: 1 }).item()).toBe(6);
      expect(getTotalNorm(tensors, { normType: Number.POSITIVE_INFINITY }).item()).toBe(3);
      expect(getTotalNorm([]).item()).toBe(0);
    });
  });

  it('that are not finite stay as they are where that is an error', () => {
    torch.scope(() => {
      const params = withGradients([Number.NaN, 2], [1]);
      const clip = () => clipGradNorm_(params, 1, { errorIfNonfinite: true });
      expect(clip).toThrow(expect.objectContaining({ code: 'M3L_NN_NONFINITE' }));
      expect(params[1]!.grad!.toArray()).toEqual([1]);
    });
  });

  it('are cut by value', () => {
    torch.scope(() => {
      const params = withGradients([-3, 0.25, 2]);
      clipGradValue_(params, 1);
      expect(params[0]!.grad!.toArray()).toEqual([-1, 0.25, 1]);
    });
  });

  it('are of tensors: other lists are refused', () => {
    expect(() => clipGradNorm_([1] as never, 1)).toThrow(/the number 1 in the list, expected tens/);
    expect(() => clipGradNorm_({} as never, 1)).toThrow(/expected a list/);
    expect(() => clipGradNorm_([], -1)).toThrow(/the number -1 for maxNorm/);
  });
});

describe('parameters as a vector', () => {
  it('go there and back, with gradients on the way', () => {
    torch.scope(() => {
      using layer = new nn.Linear(2, 3);
      const vector = parametersToVector(layer.parameters());
      expect(vector.shape).toEqual([9]);
      vector.sum().backward();
      expect(layer.bias!.grad!.toArray()).toEqual([1, 1, 1]);
      layer.zeroGrad();
      const values = torch.arange(9, { dtype: 'float32' });
      vectorToParameters(values, layer.parameters());
      expect(layer.weight.toArray()).toEqual([
        [0, 1],
        [2, 3],
        [4, 5],
      ]);
      expect(layer.bias!.toArray()).toEqual([6, 7, 8]);
      expect(() => vectorToParameters(torch.zeros([8]), layer.parameters())).toThrow(
        /found shape \[8\], expected a vector \[9\]/,
      );
    });
  });
});

describe('sequences of different lengths', () => {
  const sequences = () => [[1, 2], [3, 4, 5], [6]].map((values) => torch.tensor(values));

  it('are padded and cut again', () => {
    torch.scope(() => {
      const padded = rnn.padSequence(sequences(), { batchFirst: true, paddingValue: -1 });
      expect(padded.toArray()).toEqual([
        [1, 2, -1],
        [3, 4, 5],
        [6, -1, -1],
      ]);
      const cut = rnn.unpadSequence(padded, [2, 3, 1], { batchFirst: true });
      expect(cut.map((each) => each.toArray())).toEqual([[1, 2], [3, 4, 5], [6]]);
    });
  });

  it('are packed by time step, longest first, and come back in their order', () => {
    torch.scope(() => {
      const packed = rnn.packSequence(sequences(), { enforceSorted: false });
      expect(packed.data.toArray()).toEqual([3, 1, 6, 4, 2, 5]);
      expect(packed.batchSizes.toArray()).toEqual([3, 2, 1]);
      const [padded, lengths] = rnn.padPackedSequence(packed, { batchFirst: true });
      expect(padded.toArray()).toEqual([
        [1, 2, 0],
        [3, 4, 5],
        [6, 0, 0],
      ]);
      expect(lengths.toArray()).toEqual([2, 3, 1]);
      expect(() => rnn.packSequence(sequences())).toThrow(/sorted in decreasing order/);
      expect(() => rnn.padPackedSequence(packed, { totalLength: 2 })).toThrow(/the longest.*3/);
    });
  });

  it.each([
    ['RNN', nn.RNN],
    ['GRU', nn.GRU],
    ['LSTM', nn.LSTM],
  ] as const)('run through %s as each would alone', (_, Layer) => {
    torch.scope(() => {
      using layer = new Layer(2, 3, { bidirectional: true });
      const lengths = [2, 4, 1];
      const inputs = lengths.map((length) => torch.randn([length, 2]));
      const packed = rnn.packSequence(inputs, { enforceSorted: false });
      const [output, state] = layer.forward(packed);
      const [padded] = rnn.padPackedSequence(output);
      const last = Array.isArray(state) ? state[0]! : (state as torch.Tensor);
      for (const [i, input] of inputs.entries()) {
        const [alone, its] = layer.forward(input);
        const own = Array.isArray(its) ? its[0]! : (its as torch.Tensor);
        const found = padded.select(1, i).narrow(0, 0, lengths[i]!);
        expect(found).toBeCloseToTensor(alone, { rtol: 1e-5, atol: 1e-6 });
        expect(last.select(1, i)).toBeCloseToTensor(own, { rtol: 1e-5, atol: 1e-6 });
      }
    });
  });
});
