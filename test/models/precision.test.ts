import { torch } from 'm3l';
import { createModel } from 'm3l/models';
import { expect, it } from 'vitest';

const tiny = () => createModel({ name: 'linear-fusion', backbone: 'mit-b0', numClasses: 5 });

it('gives nearly the float32 predictions and gradients in bfloat16, both as float32', () => {
  torch.scope(() => {
    torch.manualSeed(3);
    const model = tiny().eval();
    const inputs = [torch.randn([1, 3, 64, 96]), torch.randn([1, 3, 64, 96])];
    const run = () => {
      model.zeroGrad();
      const { heads, ensemble } = model.forward(inputs, { upsample: false });
      heads[0]!.add(heads[1]!).pow(2).mean().backward();
      const gradients = model.parameters().flatMap(({ grad }) => (grad ? [grad.flatten()] : []));
      return { ensemble: ensemble.detach(), gradient: torch.cat(gradients) };
    };
    const wanted = run();
    model.precision = 'bfloat16';
    const found = run();
    for (const name of ['ensemble', 'gradient'] as const) {
      expect(found[name].dtype).toBe('float32');
      const error = found[name].sub(wanted[name]).norm().item() / wanted[name].norm().item();
      expect(error).toBeGreaterThan(1e-5);
      expect(error).toBeLessThan(0.05);
    }
    expect(model.parameters().every(({ dtype }) => dtype === 'float32')).toBe(true);
    expect(torch.isAutocastEnabled()).toBe(false);
    model.dispose();
  });
});

it('gives the same predictions with channels-last weights', () => {
  torch.scope(() => {
    torch.manualSeed(3);
    const model = tiny().eval();
    const inputs = [torch.randn([1, 3, 64, 96]), null];
    const wanted = model.forward(inputs).ensemble;
    model.to({ memoryFormat: 'channelsLast' });
    const weight = model.parameters().find(({ shape }) => shape.length === 4 && shape[1]! > 1);
    expect(weight!.strides[1]).toBe(1);
    expect(weight!.requiresGrad).toBe(true);
    expect(model.forward(inputs).ensemble).toBeCloseToTensor(wanted, { atol: 1e-5 });
    model.dispose();
  });
});
