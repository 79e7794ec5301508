import { optim, torch } from 'm3l';
import { describe, expect, it } from 'vitest';

function parts(options: Partial<optim.GradScalerOptions> = {}) {
  const w = torch.tensor([1, 2]).requiresGrad_();
  const optimizer = new optim.SGD([w], { lr: 0.5 });
  const scaler = new optim.GradScaler({ initScale: 8, growthInterval: 2, ...options });
  const backward = (factor: number) => {
    optimizer.zeroGrad();
    scaler.scale(w.mul(factor).sum()).backward();
  };
  return { w, optimizer, scaler, backward };
}

describe('GradScaler', () => {
  it('01 unscales, steps, grows, and leaves out a step that overflowed', () =>
    torch.scope(() => {
      const { w, optimizer, scaler, backward } = parts();
      backward(1);
      expect(w.grad!.toArray()).toEqual([8, 8]);
      scaler.step(optimizer);
      scaler.update();
      expect([w.toArray(), scaler.getScale()]).toEqual([[0.5, 1.5], 8]);
      backward(2);
      scaler.unscale_(optimizer);
      expect(w.grad!.toArray()).toEqual([2, 2]);
      expect(() => scaler.unscale_(optimizer)).toThrow(/unscaled since the last update/);
      scaler.step(optimizer);
      scaler.update();
      expect([w.toArray(), scaler.getScale()]).toEqual([[-0.5, 0.5], 16]);
      backward(Number.POSITIVE_INFINITY);
      scaler.step(optimizer);
      scaler.update();
      expect([w.toArray(), scaler.getScale()]).toEqual([[-0.5, 0.5], 8]);
      expect(() => scaler.update()).toThrow(/no step was taken/);
    }));

  it('02 its state goes on where it was, and without it nothing is scaled', () =>
    torch.scope(() => {
      const { optimizer, scaler, backward } = parts();
      backward(1);
      scaler.step(optimizer);
      scaler.update();
      expect(scaler.stateDict()).toEqual({ scale: 8, growthTracker: 1 });
      const other = new optim.GradScaler();
      other.loadStateDict(scaler.stateDict());
      expect([other.getScale(), other.stateDict().growthTracker]).toEqual([8, 1]);
      expect(() => other.loadStateDict({ scale: -1, growthTracker: 0 })).toThrow(/scale -1/);
      expect(() => new optim.GradScaler({ growthFactor: 0 })).toThrow(/0 for growthFactor/);
      const off = parts({ enabled: false });
      off.backward(3);
      off.scaler.step(off.optimizer);
      off.scaler.update();
      expect([off.w.toArray(), off.scaler.getScale()]).toEqual([[-0.5, 0.5], 1]);
    }));
});
