import { torch } from 'm3l';
import { createModel, type ModelName, type ModelOptions, modelNamed, modelNames } from 'm3l/models';
import { expect, it } from 'vitest';

const tiny = (name: ModelName = 'linear-fusion') => {
  const isConvolutional = modelNamed(name).options.shape.backbone.safeParse('resnet18').success;
  const backbone = isConvolutional ? 'resnet18' : 'mit-b0';
  return createModel({ name, backbone, numClasses: 5 } as ModelOptions);
};

it.each(modelNames)('%s gives nearly the same in bfloat16, gradients too, as float32', (name) => {
  torch.scope(() => {
    torch.manualSeed(3);
    const model = tiny(name).eval();
    const inputs = Array.from({ length: model.modalities }, () => torch.randn([2, 3, 64, 96]));
    const run = () => {
      model.zeroGrad();
      const { heads, ensemble, penalty } = model.forward(inputs, { upsample: false });
      const all = [...heads, ensemble].reduce((sum, each) => sum.add(each));
      const loss = all.pow(2).mean();
      (penalty ? loss.add(penalty) : loss).backward();
      const gradients = model.parameters().flatMap(({ grad }) => (grad ? [grad.flatten()] : []));
      return { ensemble: ensemble.detach(), gradient: torch.cat(gradients) };
    };
    const wanted = run();
    model.precision = 'bfloat16';
    const found = run();
    for (const key of ['ensemble', 'gradient'] as const) {
      expect(found[key].dtype).toBe('float32');
      const error = found[key].sub(wanted[key]).norm().item() / wanted[key].norm().item();
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
