import { nn, torch } from 'm3l';
import { beforeEach, describe, expect, it } from 'vitest';

beforeEach(() => torch.manualSeed(0));

describe('Linear, Conv2d, LayerNorm', () => {
  it('compute what their formulas say', () => {
    torch.scope(() => {
      using linear = new nn.Linear(2, 1);
      linear.loadStateDict({ weight: torch.tensor([[2, 3]]), bias: torch.tensor([1]) });
      expect(linear.forward(torch.tensor([[1, 10]])).toArray()).toEqual([[33]]);

      using conv = new nn.Conv2d(2, 4, 3, { stride: 2, padding: 1, groups: 2, bias: false });
      expect(conv.weight.shape).toEqual([4, 1, 3, 3]);
      expect(conv.bias).toBeNull();
      expect(conv.forward(torch.ones([1, 2, 5, 7])).shape).toEqual([1, 4, 3, 4]);

      using norm = new nn.LayerNorm(2, { eps: 0 });
      expect(norm.forward(torch.tensor([[1, 3]]))).toBeCloseToTensor([[-1, 1]]);
    });
  });

  it('start within PyTorch’s bounds', () => {
    torch.scope(() => {
      using linear = new nn.Linear(400, 100);
      const largest = linear.weight.abs().max().item();
      expect(largest).toBeLessThanOrEqual(1 / 20);
      expect(largest).toBeGreaterThan(0.99 / 20);
      using conv = new nn.Conv2d(8, 64, 5, { groups: 2 });
      expect(conv.weight.abs().max().item()).toBeLessThanOrEqual(0.1);
    });
  });
});

describe('BatchNorm2d', () => {
  it('follows the batch in training, its running statistics in evaluation or frozen', () => {
    torch.scope(() => {
      using norm = new nn.BatchNorm2d(2, { eps: 0, momentum: 0.5 });
      const x = torch.tensor([[[[1, 3]], [[10, 30]]]]);
      expect(norm.forward(x)).toBeCloseToTensor([[[[-1, 1]], [[-1, 1]]]]);
      expect(norm.runningMean!.toArray()).toEqual([1, 10]);
      expect(norm.runningVar).toBeCloseToTensor([1.5, 100.5]);

      const mean = norm.runningMean!.toArray();
      norm.frozen = true;
      const found = norm.forward(x);
      expect(norm.runningMean!.toArray()).toEqual(mean);
      const [scale, shift] = norm.scaleAndShift();
      const affine = x.mul(scale.view([2, 1, 1])).add(shift.view([2, 1, 1]));
      expect(found).toBeCloseToTensor(affine, { rtol: 1e-5, atol: 1e-6 });
      norm.frozen = false;
      expect(norm.eval().forward(x)).toBeCloseToTensor(found);
    });
  });
});

describe('dropout', () => {
  it('does nothing in evaluation or at 0, and refuses what is no probability', () => {
    torch.scope(() => {
      const x = torch.randn([4, 3, 2, 2]);
      for (const Layer of [nn.Dropout, nn.Dropout2d, nn.DropPath]) {
        expect(new Layer(0.5).eval().forward(x)).toBe(x);
        expect(new Layer(0).forward(x)).toBe(x);
        expect(new Layer(1).forward(x).abs().max().item()).toBe(0);
        expect(() => new Layer(1.1)).toThrow(/expected a probability in \[0, 1\]/);
      }
    });
  });

  it('keeps the mean, dropping elements, channels or samples', () => {
    torch.scope(() => {
      const x = torch.ones([4000, 3, 2, 2]);
      // How many independent draws there are, by the number of values that fall together.
      for (const [layer, dims] of [
        [new nn.Dropout(0.2), []],
        [new nn.Dropout2d(0.2), [2, 3]],
        [new nn.DropPath(0.2), [1, 2, 3]],
      ] as const) {
        const y = layer.forward(x);
        expect(y.mean().item()).toBeCloseTo(1, 1);
        const [low, high] = [y.amin([...dims]), y.amax([...dims])];
        expect(dims.length === 0 || low.equal(high)).toBe(true);
        expect(y.gt(0).mean({ dtype: 'float32' }).item()).toBeCloseTo(0.8, 1);
        expect(y.max().item()).toBeCloseTo(1.25, 6);
      }
    });
  });

  it('adds a dropped residual in one pass', () => {
    torch.scope(() => {
      const dropPath = new nn.DropPath(0.4);
      const x = torch.full([2000, 2, 2], 10);
      const y = dropPath.residual(x, torch.ones([2000, 2, 2]));
      const values = new Set(y.sub(10).mul(0.6).round().flatten().toArray() as number[]);
      expect(values).toEqual(new Set([0, 1]));
      expect(y.mean().item()).toBeCloseTo(11, 1);
      expect(dropPath.eval().residual(x, x).mean().item()).toBe(20);
    });
  });

  it('gives each channel of tokens its factor', () => {
    torch.scope(() => {
      const x = torch.ones([500, 7, 4]);
      const dropout = new nn.Dropout2d(0.25);
      const factors = dropout.channelFactors(500, 4, x)!;
      expect(factors.shape).toEqual([500, 1, 4]);
      expect(factors.mean().item()).toBeCloseTo(1, 1);
      expect(dropout.eval().channelFactors(500, 4, x)).toBeNull();
    });
  });
});

describe('init', () => {
  it('cuts the truncated normal at its bounds', () => {
    torch.scope(() => {
      const x = nn.init.truncNormal_(torch.empty([20000]), { low: -1, high: 1 });
      expect(x.abs().max().item()).toBeLessThanOrEqual(1);
      expect(x.mean().item()).toBeCloseTo(0, 1);
      // The variance of a standard normal cut at ±1 is 0.2911.
      expect(x.var().item()).toBeCloseTo(0.2911, 1);
      const narrow = nn.init.truncNormal_(torch.empty([20000]), { std: 0.02 });
      expect(narrow.std().item()).toBeCloseTo(0.02, 3);
      expect(narrow.abs().max().item()).toBeLessThan(0.12);
    });
  });

  it('scales by fan-out and repeats for a seed', () => {
    torch.scope(() => {
      const draw = () =>
        nn.init.kaimingFanOut_(torch.empty([64, 8, 3, 3]), {
          groups: 2,
          generator: new torch.Generator().manualSeed(7),
        });
      expect(draw().std().item()).toBeCloseTo(Math.sqrt(2 / (9 * 32)), 2);
      expect(draw().equal(draw())).toBe(true);
    });
  });
});
