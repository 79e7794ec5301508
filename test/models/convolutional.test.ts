import { type nn, torch } from 'm3l';
import { optimizeForInference } from 'm3l/inference';
import { parameterGroups } from 'm3l/learning';
import { ChannelExchange, createModel, DeepLabV3Plus, ExchangingNorm, RefineNet } from 'm3l/models';
import { beforeEach, describe, expect, it } from 'vitest';

beforeEach(() => torch.manualSeed(0));

const close = { rtol: 1e-4, atol: 1e-5 };

describe('channel exchange', () => {
  it.each([2, 3])('of %d modalities takes channels of small scale from the others', (count) => {
    torch.scope(() => {
      using norm = new ExchangingNorm(4, { modalities: count, frozen: true }, 0.02);
      torch.noGrad(() => {
        for (const [m, each] of norm.norms.entries()) {
          each.weight!.uniform_(0.5, 1);
          each.bias!.uniform_(-1, 1);
          each.weight!.select(0, m).fill_(m === 0 ? -0.01 : 0.019);
        }
        // Of the last channel every modality would rather have the others'.
        for (const each of norm.norms) each.weight!.select(0, 3).fill_(0);
        norm.norms[0]!.weight!.select(0, 2).fill_(-0.02); // not below
      });
      const x = torch.randn([2 * count, 4, 3, 5]);
      const own = x.chunk(count, 0).map((stream, m) => norm.norms[m]!.forward(stream));
      const found = norm.forward(x).chunk(count, 0);
      for (let m = 0; m < count; m++) {
        const others = own.filter((_, j) => j !== m).reduce((sum, each) => sum.add(each));
        const isTaken = [0, 1, 2, 3].map((c) => c === 3 || c === m);
        const where = torch.tensor(isTaken).view([1, 4, 1, 1]);
        const expected = torch.where(where, others.div(count - 1), own[m]!);
        expect(found[m]!).toBeCloseToTensor(expected, close);
      }
      const penalty = norm.norms
        .map(({ weight }, m) => {
          const [from, to] = [m, m + 1].map((at) => Math.floor((at * 4) / count));
          return weight!.slice(0, from!, to!).abs().sum().item();
        })
        .reduce((a, b) => a + b);
      expect(norm.penalty().item()).toBeCloseTo(penalty, 5);
    });
  });

  it('a scale whose channel is exchanged has no gradient but the penalty’s', () => {
    torch.scope(() => {
      using norm = new ExchangingNorm(4, { modalities: 2, frozen: true }, 0.02);
      torch.noGrad(() => norm.norms[0]!.weight!.select(0, 1).fill_(0.01));
      const [rgb] = norm.forward(torch.randn([4, 4, 3, 3])).chunk(2, 0);
      rgb!.square().sum().backward();
      const gradient = norm.norms[0]!.weight!.grad!.toArray() as number[];
      expect(gradient[1]).toBe(0);
      expect(gradient[0]).not.toBe(0);
      // It reads the other's channel instead.
      expect((norm.norms[1]!.weight!.grad!.toArray() as number[]).map(Math.sign)).toEqual([
        0, 1, 0, 0,
      ]);
    });
  });

  it('predicts by each modality and their ensemble, of three too, and says what it weighs', () => {
    torch.scope(() => {
      using model = new ChannelExchange({ backbone: 'resnet18', numClasses: 3, modalities: 3 });
      model.eval();
      const inputs = [0, 1, 2].map(() => torch.randn([1, 3, 40, 56]));
      const prediction = model.forward(inputs);
      expect(prediction.heads.map(({ shape }) => shape)).toEqual(Array(3).fill([1, 3, 40, 56]));
      const [one] = model.forwardHeads(inputs, [2], { upsample: false });
      expect(one!.shape).toEqual([1, 3, 10, 14]);
      const norms = model.modules().filter((module) => module instanceof ExchangingNorm);
      expect(norms).toHaveLength(8);
      const l1 = norms.reduce((sum, norm) => sum + norm.penalty().item(), 0);
      expect(prediction.penalty!.item()).toBeCloseTo(2e-4 * l1, 4);
      using view = optimizeForInference(model);
      const found = view.forward(inputs).ensemble;
      expect(found).toBeCloseToTensor(prediction.ensemble.detach(), close);
      expect(() => model.forward([inputs[0]!, null, inputs[2]!])).toThrow(/fill the input instead/);
      const filled = { filled: new Set([1]) };
      const without = model.forward(inputs, filled).ensemble.sub(prediction.ensemble);
      expect(without.abs().max().item()).toBeGreaterThan(0);
    });
  });
});

describe('residual networks', () => {
  it.each(['resnet34', 'resnet50', 'resnet101'] as const)(
    '%s has torchvision’s shapes',
    (backbone) => {
      torch.scope(() => {
        using model = new RefineNet({ backbone, numClasses: 2 });
        model.eval();
        const blocks = { resnet34: 16, resnet50: 16, resnet101: 33 }[backbone];
        const names = model.namedModules().map(([name]) => name);
        const convs = names.filter((name) => /layer\d\.\d+\.conv2$/.test(name));
        expect(convs).toHaveLength(blocks);
        expect(names.includes('model.layer1.0.conv3')).toBe(backbone !== 'resnet34');
        const downsampled = names.filter((name) => /layer\d\.0\.downsample$/.test(name));
        expect(downsampled).toHaveLength(backbone === 'resnet34' ? 3 : 4);
        const encoder = model
          .namedParameters()
          .filter(([name]) => model.roleOf(name) === 'encoder');
        const count = encoder.reduce((sum, [, tensor]) => sum + tensor.numel(), 0);
        // torchvision's, without the classifier.
        expect(count).toBe(
          { resnet34: 21284672, resnet50: 23508032, resnet101: 42500160 }[backbone],
        );
        if (backbone === 'resnet101') return;
        const { ensemble } = torch.noGrad(() => model.forward([torch.randn([1, 3, 17, 23])]));
        expect(ensemble.shape).toEqual([1, 2, 17, 23]);
      });
    },
  );

  it('DeepLabV3+ keeps the last stage’s size, and has a deep stem from ResNet-50 on', () => {
    torch.scope(() => {
      using model = new DeepLabV3Plus({ backbone: 'resnet50', numClasses: 2 });
      model.eval();
      const features = torch.noGrad(() => model.backbone.forward(torch.randn([1, 3, 64, 96])));
      expect(features.map(({ shape }) => shape.slice(1))).toEqual([
        [256, 16, 24],
        [512, 8, 12],
        [1024, 4, 6],
        [2048, 4, 6],
      ]);
      const names = model.namedParameters().map(([name]) => name);
      expect(names.slice(0, 7)).toEqual([
        'backbone.conv1.0.weight',
        'backbone.conv1.1.weight',
        'backbone.conv1.1.bias',
        'backbone.conv1.3.weight',
        'backbone.conv1.4.weight',
        'backbone.conv1.4.bias',
        'backbone.conv1.6.weight',
      ]);
      const dilations = model
        .namedModules()
        .flatMap(([name, module]) =>
          /layer4\.\d\.conv2$/.test(name) ? [(module as nn.Conv2d).dilation[0]] : [],
        );
      expect(dilations).toEqual([2, 4, 8]);
      const groups = parameterGroups(model);
      expect(groups.map(({ name }) => name)).toEqual(['encoder', 'encoder-norm', 'decoder']);
      expect(groups[1]!.params.every(({ ndim }) => ndim === 1)).toBe(true);
    });
  });

  it('are the same for the same generator', () => {
    torch.scope(() => {
      const create = (name: 'refinenet' | 'deeplabv3plus' | 'channel-exchange') =>
        createModel({
          name,
          backbone: 'resnet18',
          numClasses: 2,
          generator: new torch.Generator().manualSeed(5),
        });
      for (const name of ['refinenet', 'deeplabv3plus', 'channel-exchange'] as const) {
        using one = create(name);
        using other = create(name);
        const theirs = other.stateDict();
        for (const [key, tensor] of Object.entries(one.stateDict())) {
          expect(tensor.equal(theirs[key]!), `${name} ${key}`).toBe(true);
        }
      }
    });
  });

  it('say what they cannot be made of', () => {
    const unknown = { backbone: 'resnet9' as 'resnet18', numClasses: 2 };
    expect(() => new RefineNet(unknown)).toThrow(/No backbone 'resnet9', expected one of resnet18/);
    expect(() => new DeepLabV3Plus(unknown)).toThrow(/No backbone 'resnet9'/);
    expect(() => new RefineNet({ numClasses: 2, modalities: 2 })).toThrow(
      /channel-exchange for more/,
    );
    expect(() => new ChannelExchange({ numClasses: 2, modalities: 1 })).toThrow(
      /refinenet for one/,
    );
  });
});
