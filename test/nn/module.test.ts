import { nn, torch } from 'm3l';
import { describe, expect, it } from 'vitest';

class Net extends nn.Module {
  readonly patchEmbed1 = new nn.Conv2d(3, 4, 3);
  readonly layers = new nn.ModuleList([new nn.Linear(4, 4), new nn.Linear(4, 2, { bias: false })]);
  readonly norms = new nn.ModuleDict({ ln_0: new nn.LayerNorm(4) });
  readonly bn = new nn.BatchNorm2d(4);
  readonly maskToken = nn.parameter(() => torch.zeros([4]));
  readonly aside = torch.ones([1]);
  readonly nothing = null;

  override forward(x: torch.Tensor): torch.Tensor {
    return x;
  }
}

const names = [
  'mask_token',
  'patch_embed1.weight',
  'patch_embed1.bias',
  'layers.0.weight',
  'layers.0.bias',
  'layers.1.weight',
  'norms.ln_0.weight',
  'norms.ln_0.bias',
  'bn.weight',
  'bn.bias',
];

describe('Module', () => {
  it('names parameters and buffers as PyTorch does', () => {
    torch.scope(() => {
      using net = new Net();
      expect(net.namedParameters().map(([name]) => name)).toEqual(names);
      expect(net.namedBuffers().map(([name]) => name)).toEqual([
        'bn.running_mean',
        'bn.running_var',
        'bn.num_batches_tracked',
      ]);
      expect(net.namedModules().map(([name]) => name)).toContain('norms.ln_0');
      expect(Object.keys(net.stateDict()).length).toBe(13);
    });
  });

  it('keeps its tensors beyond the scope it was made in, until disposed of', () => {
    const before = torch.memory().tensors;
    const net = torch.scope(() => new Net());
    expect(net.maskToken.shape).toEqual([4]);
    expect(net.maskToken.requiresGrad).toBe(true);
    expect(torch.memory().tensors - before).toBe(13);
    net.dispose();
    expect(torch.memory().tensors).toBe(before);
  });

  it('sets training mode and applies functions through the tree', () => {
    torch.scope(() => {
      using net = new Net();
      net.eval();
      expect(net.modules().every((module) => !module.training)).toBe(true);
      net.layers.train();
      expect([net.training, net.layers.at(1).training]).toEqual([false, true]);
      const visited: nn.Module[] = [];
      net.apply((module) => visited.push(module));
      expect(visited.length).toBe(8);
      expect(visited.at(-1)).toBe(net);
    });
  });

  it('clears and freezes gradients', () => {
    torch.scope(() => {
      using layer = new nn.Linear(2, 1);
      layer
        .forward(torch.ones([1, 2]))
        .sum()
        .backward();
      expect(layer.weight.grad?.toArray()).toEqual([[1, 1]]);
      layer.zeroGrad();
      expect(layer.weight.grad).toBeNull();
      layer.requiresGrad_(false);
      expect(layer.forward(torch.ones([1, 2])).requiresGrad).toBe(false);
      expect(layer.parameters().length).toBe(2);
    });
  });

  it('converts floating-point state in place of the old', () => {
    torch.scope(() => {
      using net = new Net();
      const before = torch.memory().tensors;
      net.to({ dtype: 'float64', device: 'cpu' });
      expect(torch.memory().tensors).toBe(before);
      expect(net.maskToken.dtype).toBe('float64');
      expect(net.maskToken.requiresGrad).toBe(true);
      expect(net.namedParameters().map(([name]) => name)).toEqual(names);
      expect(net.aside.dtype).toBe('float32');
    });
  });
});

describe('state dicts', () => {
  it('load by name, converting the dtype', () => {
    torch.scope(() => {
      using source = new nn.Linear(2, 2);
      using target = new nn.Linear(2, 2);
      const state = source.stateDict();
      state.weight = state.weight!.to('float64');
      expect(target.loadStateDict(state)).toEqual({ missing: [], unexpected: [] });
      expect(target.weight).toBeCloseToTensor(source.weight.toArray());
    });
  });

  it('are taken over as they are where that is asked for, tied weights once', () => {
    torch.scope(() => {
      class Tied extends nn.Module {
        first = new nn.Linear(2, 2);
        second = new nn.Linear(2, 2);
        constructor() {
          super();
          Object.assign(this.second, { weight: this.first.weight });
        }
        override forward(x: torch.Tensor): torch.Tensor {
          return this.second.forward(this.first.forward(x));
        }
      }
      using net = new Tied();
      net.first.bias!.requiresGrad_(false);
      const [weight, bias] = [torch.ones([2, 2], { dtype: 'float64' }), torch.zeros([2])];
      const state = { 'first.weight': weight, 'second.weight': weight, 'first.bias': bias };
      const found = net.loadStateDict(state, { assign: true, strict: false });
      expect(found).toEqual({ missing: ['second.bias'], unexpected: [] });
      const { first, second } = net;
      expect([first.weight.sameStorage(weight), second.weight === first.weight]).toEqual([
        true,
        true,
      ]);
      expect([first.weight.dtype, first.weight.requiresGrad]).toEqual(['float64', true]);
      expect(first.bias!.sameStorage(bias)).toBe(true);
      expect(first.bias!.requiresGrad).toBe(false);
      expect(net.parameters().length).toBe(3);
      const wrong = { ...state, 'second.bias': torch.ones([3]) };
      expect(() => net.loadStateDict(wrong, { assign: true })).toThrow(nn.StateDictError);
      expect(() => net.loadStateDict(state, { asign: true } as never)).toThrow(/'asign'/);
    });
  });

  it('refuse other names and shapes, naming them, and leave the module as it was', () => {
    torch.scope(() => {
      using layer = new nn.Linear(2, 2);
      const before = layer.weight.toArray();
      const load = (state: nn.StateDict, strict = true) => layer.loadStateDict(state, { strict });
      const bias = torch.zeros([2]);
      const wrong = { weight: torch.zeros([2, 3]), bias };
      expect(() => load(wrong)).toThrow(/weight has shape \[2,3\], expected \[2,2\]/);
      expect(() => load(wrong, false)).toThrow(nn.StateDictError);
      expect(() => load({ bias, scale: bias })).toThrow(/missing: weight; unexpected: scale/);
      expect(load({ bias, scale: bias }, false)).toEqual({
        missing: ['weight'],
        unexpected: ['scale'],
      });
      expect(layer.weight.toArray()).toEqual(before);
      expect(layer.bias?.toArray()).toEqual([0, 0]);
    });
  });
});

describe('containers', () => {
  it('run, list and look up their layers', () => {
    torch.scope(() => {
      using net = new nn.Sequential(new nn.Linear(2, 3), new nn.ReLU(), new nn.Identity());
      expect(net.forward(torch.ones([5, 2])).shape).toEqual([5, 3]);
      expect(net.at(-1)).toBeInstanceOf(nn.Identity);
      expect([...net].length).toBe(3);
      expect(() => net.at(3)).toThrow(/No module 3 in a list of 3/);
      const dict = new nn.ModuleDict({ relu: new nn.ReLU() });
      expect(dict.get('relu')).toBeInstanceOf(nn.ReLU);
      expect(() => dict.get('gelu')).toThrow(/No module 'gelu', only relu/);
    });
  });
});

describe('Module.to', () => {
  it('takes a dtype or a device by itself', () => {
    const layer = new nn.Linear(2, 2).to('bfloat16').to('cpu');
    expect(layer.weight.dtype).toBe('bfloat16');
    layer.dispose();
  });

  it.each([
    ['int32', /dtype 'int32', expected one of floats/],
    [{ dytpe: 'float64' }, /option 'dytpe', expected one of device, dtype, memoryFormat/],
    [3, /found the number 3/],
  ])('refuses %j', (target, message) => {
    const layer = new nn.Linear(2, 2);
    expect(() => layer.to(target as never)).toThrow(message);
    layer.dispose();
  });
});

describe('layers', () => {
  it('refuse options that they do not have, and what is no module', () => {
    expect(() => new nn.Conv2d(1, 1, 3, { strides: 2 } as never)).toThrow(/option 'strides'/);
    expect(() => new nn.Sequential('x' as never)).toThrow(/Sequential: found the string 'x'/);
    const norm = new nn.BatchNorm2d(3);
    expect(() => torch.scope(() => norm.forward(torch.ones([1, 3, 1, 1])))).toThrow(
      /one value a ch/,
    );
    norm.dispose();
  });
});
