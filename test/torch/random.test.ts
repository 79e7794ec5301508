import { torch } from 'm3l';
import { describe, expect, it } from 'vitest';

const draw = (generator?: torch.Generator) => torch.rand([4], { generator }).toArray();

describe('random', () => {
  it('01 a seed fixes the default stream', () =>
    torch.scope(() => {
      torch.manualSeed(7);
      const first = draw();
      const second = draw();
      torch.manualSeed(7);
      expect(draw()).toEqual(first);
      expect(draw()).toEqual(second);
      expect(second).not.toEqual(first);
      expect(torch.initialSeed()).toBe(7n);
    }));

  it('02 gives PyTorch’s numbers: torch.manual_seed(0); torch.rand(2), torch.randn(2)', () =>
    torch.scope(() => {
      torch.manualSeed(0);
      expect(torch.rand([2])).toBeCloseToTensor([0.49625658988952637, 0.7682217955589294]);
      const generator = new torch.Generator().manualSeed(0);
      expect(torch.randn([2], { generator })).toBeCloseToTensor([
        1.5409960746765137, -0.293428897857666,
      ]);
    }));

  it('03 generators are streams of their own', () =>
    torch.scope(() => {
      const a = new torch.Generator().manualSeed(1);
      const b = new torch.Generator().manualSeed(1);
      torch.manualSeed(5);
      const expected = draw();
      torch.manualSeed(5);
      expect(draw(a)).toEqual(draw(b));
      expect(draw()).toEqual(expected);
      expect(a.initialSeed()).toBe(1n);
    }));

  it('04 states are saved and restored', () =>
    torch.scope(() => {
      const generator = new torch.Generator().manualSeed(3);
      draw(generator);
      const state = generator.getState();
      expect(state.dtype).toBe('uint8');
      const next = draw(generator);
      expect(draw(generator)).not.toEqual(next);
      expect(draw(generator.setState(state))).toEqual(next);
      const other = new torch.Generator().setState(state);
      expect(draw(other)).toEqual(next);

      const whole = torch.getRngState();
      const expected = draw();
      torch.setRngState(whole);
      expect(draw()).toEqual(expected);
      torch.setRngState(torch.getRngState('cpu'), 'cpu');
    }));

  it('05 every random operator takes a generator', () =>
    torch.scope(() => {
      const seeded = () => new torch.Generator().manualSeed(11);
      const both = (fn: (generator: torch.Generator) => torch.Tensor) =>
        expect(fn(seeded()).toArray()).toEqual(fn(seeded()).toArray());
      both((generator) => torch.randn([3], { generator }));
      both((generator) => torch.randint(10, [8], { generator }));
      both((generator) => torch.randint(-5, 5, [8], { generator }));
      both((generator) => torch.randperm(8, { generator }));
      both((generator) => torch.full([8], 0.5).bernoulli({ generator }));
      both((generator) => torch.bernoulli(torch.ones([8]), 0.5, { generator }));
      both((generator) => torch.tensor([0.1, 0.2, 0.7]).multinomial(2, { generator }));
      both((generator) => torch.empty([4]).normal_(0, 1, { generator }));
      both((generator) => torch.empty([4]).uniform_({ generator, from: -1, to: 1 }));
    }));

  it('06 a wrong generator or state is refused', () =>
    torch.scope(() => {
      expect(() => torch.rand([2], { generator: 3 as never })).toThrow(/must be a torch.Generator/);
      expect(() => new torch.Generator('toaster')).toThrow(/toaster/);
      expect(() => new torch.Generator().setState(torch.zeros([3]))).toThrow(torch.M3lError);
      expect(() => torch.setRngState('x' as never)).toThrow(/'state' must be a Tensor/);
      expect(() => torch.getRngState('toaster')).toThrow(/toaster/);
      expect(() => torch.getRngState(0 as never)).toThrow(/the name of a device/);
      expect(() => torch.setRngState(torch.zeros([3]), 'meta')).toThrow(torch.M3lError);
    }));
});
