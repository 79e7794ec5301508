import { nn, torch } from 'm3l';
import { describe, expect, it } from 'vitest';

const F = nn.functional;
const wrong = (value: unknown) => value as never;

describe('arguments that no layer can have', () => {
  it.each<[() => unknown, RegExp]>([
    [
      () => new nn.Conv2d(3, 4, 0),
      /Conv2d: found the number 0 for kernel, expected an integer or 2/,
    ],
    [() => new nn.Conv2d(3, 4, [3, 3, 3]), /the array \[3, 3, 3\] for kernel/],
    [() => new nn.Conv2d(3, 4, 1.5), /the number 1.5 for kernel/],
    [() => new nn.Conv2d(3, 4, 3, { stride: 0 }), /the number 0 for stride/],
    [() => new nn.Conv2d(3, 4, 3, { padding: -1 }), /-1 for padding, expected .* from 0 on/],
    [
      () => new nn.Conv2d(3, 4, 3, { padding: wrong('full') }),
      /'full' for padding, expected one of/,
    ],
    [
      () => new nn.Conv2d(3, 4, 3, { padding: 'same', stride: 2 }),
      /'same' with the stride \[2,2\]/,
    ],
    [() => new nn.Conv2d(3, 4, 3, { paddingMode: wrong('mirror') }), /'mirror' for paddingMode/],
    [() => new nn.Conv2d(3, 4, 3, { groups: 2 }), /found 2 groups of 3 channels/],
    [() => new nn.Conv1d(wrong('3'), 4, 3), /Conv1d: found the string '3' for inChannels/],
    [() => new nn.Linear(2.5, 1), /Linear: found the number 2.5 for inFeatures/],
    [() => new nn.Linear(2, 1, wrong(null)), /Linear: found null, expected options \(bias\)/],
    [() => new nn.BatchNorm2d(-1), /BatchNorm2d: found the number -1 for channels/],
    [() => new nn.BatchNorm2d(3, { momentum: wrong('x') }), /the string 'x' for momentum/],
    [() => new nn.GroupNorm(3, 4), /GroupNorm: found 3 groups of 4 channels/],
    [() => new nn.LayerNorm([2, 0.5]), /the number 0.5 for dimension 1/],
    [() => new nn.MaxPool2d(0), /MaxPool2d: found the number 0 for kernelSize/],
    [() => new nn.MaxPool2d(2, { dilation: 0 }), /MaxPool2d: found the number 0 for dilation/],
    [() => new nn.MaxPool2d(wrong(undefined)), /MaxPool2d: found undefined, expected kernelSize/],
    [
      () => new nn.AvgPool2d(2, { ceilMode: wrong(1) }),
      /the number 1 for ceilMode, expected true or/,
    ],
    [() => new nn.AdaptiveAvgPool2d([1, 2, 3]), /\[1, 2, 3\] for outputSize/],
    [() => new nn.FractionalMaxPool2d(2), /found neither of outputSize and outputRatio/],
    [() => new nn.MaxUnpool2d(2, { stride: 0 }), /MaxUnpool2d: found the number 0 for stride/],
    [
      () => new nn.ZeroPad2d([1, 2, 3]),
      /\[1, 2, 3\] for padding, expected an integer or 4 of them/,
    ],
    [() => new nn.ConstantPad1d(1, wrong('0')), /the string '0' for value/],
    [() => new nn.Upsample(), /Upsample: found neither of size and scaleFactor/],
    [
      () => new nn.Upsample({ size: 2, mode: wrong('cubic') }),
      /Upsample: found the string 'cubic'/,
    ],
    [() => new nn.PixelShuffle(0), /the number 0 for upscaleFactor/],
    [() => new nn.Unfold(0), /Unfold: found the number 0 for kernelSize/],
    [() => new nn.Softmax(0.5), /the number 0.5/],
    [() => new nn.GELU({ approximate: wrong('erf') }), /'erf' for approximate/],
    [() => new nn.LeakyReLU({ negativeSlope: wrong('x') }), /LeakyReLU: found the string 'x'/],
    [() => new nn.Dropout(2), /Dropout: p is the number 2/],
    [
      () => new nn.MSELoss({ reduction: wrong('average') }),
      /'average' for reduction, expected one/,
    ],
    [() => new nn.KLDivLoss({ reduction: wrong('batch') }), /'batch' for reduction, .*'batchmean'/],
    [() => new nn.CrossEntropyLoss({ labelSmoothing: wrong('x') }), /'x' for labelSmoothing/],
    [
      () => new nn.Embedding(3, 2, { paddingIdx: 3 }),
      /found the paddingIdx 3, expected a row of 3/,
    ],
    [() => new nn.EmbeddingBag(3, 2, { mode: wrong('min') }), /'min' for mode/],
    [() => new nn.LSTM(0, 2), /LSTM: found the number 0 for inputSize/],
    [() => new nn.LSTM(2, 2, { dropout: 2 }), /the number 2 for dropout/],
    [() => new nn.LSTM(2, 2, wrong(null)), /LSTM: found null, expected options/],
    [() => new nn.RNN(2, 2, { nonlinearity: wrong('gelu') }), /'gelu' for nonlinearity/],
    [() => new nn.MultiheadAttention(5, 2), /found 2 groups of 5 channels/],
    [() => new nn.TransformerEncoder(wrong(new nn.Identity()), 2), /expected a function/],
    [() => new nn.TransformerEncoderLayer(4, 2, { activation: wrong('silu') }), /'silu' for activ/],
    [() => new nn.AdaptiveLogSoftmaxWithLoss(4, 6, [4, 2]), /found the cutoffs \[4,2\]/],
  ])('%s', (make, message) => {
    expect(make).toThrow(expect.objectContaining({ message: expect.stringMatching(message) }));
    expect(make).toThrow(expect.objectContaining({ code: expect.stringMatching(/^M3L_/) }));
  });
});

it('takes a list of one number for every dimension', () => {
  torch.scope(() => {
    using conv = new nn.Conv2d(3, 4, [3], { stride: [2] });
    expect([conv.kernel, conv.stride]).toEqual([
      [3, 3],
      [2, 2],
    ]);
  });
});

describe('inputs that no layer can take', () => {
  const x = (...shape: number[]) => torch.zeros(shape);

  it.each<[string, () => unknown, RegExp]>([
    [
      'BatchNorm2d',
      () => new nn.BatchNorm2d(3).forward(x(2, 3)),
      /shape \[2,3\], expected \[B,C,H,W\]/,
    ],
    ['BatchNorm1d', () => new nn.BatchNorm1d(3).forward(x(1, 3)), /one value a channel/],
    [
      'InstanceNorm1d',
      () => new nn.InstanceNorm1d(3).forward(x(3)),
      /expected \[B,C,L\] or \[C,L\]/,
    ],
    ['InstanceNorm2d', () => new nn.InstanceNorm2d(3).forward(x(3, 1, 1)), /one value a channel/],
    ['Dropout1d', () => new nn.Dropout1d().forward(x(2)), /expected \[B,C,L\] or/],
    ['LSTM', () => new nn.LSTM(2, 2).forward(x(2)), /expected \[T,B,in\] or/],
    ['GRUCell', () => new nn.GRUCell(2, 2).forward(x(2, 2, 2)), /expected \[B,in\] or \[in\]/],
    ['EmbeddingBag', () => new nn.EmbeddingBag(2, 2).forward(x(2)), /expected \[B,N\]/],
    [
      'MultiheadAttention',
      () => new nn.MultiheadAttention(2, 1).forward(x(2, 2, 2), x(2, 2), x(2, 2)),
      /of one rank/,
    ],
    [
      'its mask',
      () =>
        new nn.MultiheadAttention(2, 1).forward(x(3, 1, 2), x(2, 1, 2), x(2, 1, 2), {
          attnMask: x(3, 3),
        }),
      /attnMask of shape \[3,3\], expected \[3,2\]/,
    ],
    [
      'ConvTranspose2d',
      () => new nn.ConvTranspose2d(1, 1, 3, { stride: 2 }).forward(x(1, 1, 2, 2), 9),
      /outputSize \[9,9\], expected one from \[5,5\] to \[6,6\]/,
    ],
    [
      'MaxUnpool2d',
      () => new nn.MaxUnpool2d(2).forward(x(1, 1, 2), x(1, 1, 2).to('int64'), 9),
      /outputSize \[9,9\]/,
    ],
    [
      'gaussianNllLoss',
      () => F.gaussianNllLoss(x(2, 3), x(2, 3), x(3, 2)),
      /variances of shape \[3,2\]/,
    ],
    ['gaussianNllLoss', () => F.gaussianNllLoss(x(2), x(2), x(2).sub(1)), /a variance below 0/],
    ['mseLoss', () => F.mseLoss(x(2), x(2), { reduction: wrong(1) }), /number 1 for reduction/],
    ['gridSample', () => F.gridSample(x(1), x(1), { mode: wrong('cubic') }), /'cubic' for mode/],
    [
      'interpolate',
      () => F.interpolate(x(1, 1, 2), { size: 2, mode: 'bilinear' }),
      /mode 'bilinear'/,
    ],
  ])('%s', (_, call, message) => {
    torch.scope(() => {
      expect(call).toThrow(expect.objectContaining({ message: expect.stringMatching(message) }));
      expect(call).toThrow(expect.objectContaining({ code: expect.stringMatching(/^M3L_/) }));
    });
  });
});

describe('pools that tell where their values were', () => {
  it('are undone, up to what was not the largest', () => {
    torch.scope(() => {
      const x = torch.tensor(
        [
          [
            [
              [1, 5, 2],
              [3, 4, 0],
              [9, 8, 7],
            ],
          ],
        ],
        { dtype: 'float32' },
      );
      const pool = new nn.MaxPool2d(2, { stride: 1 });
      const [values, indices] = pool.forwardWithIndices(x);
      expect(values.toArray()).toEqual(pool.forward(x).toArray());
      const unpool = new nn.MaxUnpool2d(2, { stride: 1 });
      expect(unpool.forward(values, indices).toArray()).toEqual([
        [
          [
            [0, 5, 0],
            [0, 0, 0],
            [9, 8, 0],
          ],
        ],
      ]);
      const flat = new nn.AdaptiveAvgPool2d([null, 1]).forward(x);
      expect(flat.shape).toEqual([1, 1, 3, 1]);
    });
  });
});
