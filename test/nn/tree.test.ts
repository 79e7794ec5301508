import { inspect } from 'node:util';
import { nn, torch } from 'm3l';
import { describe, expect, it } from 'vitest';

const names = (module: nn.Module) => Object.keys(module.stateDict());
const coded = (code: string, message: RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(message) });

class Branches extends nn.Module {
  readonly heads = [new nn.Linear(2, 1), new nn.ReLU(), new nn.Linear(2, 3, { bias: false })];
  readonly scales = [nn.parameter(() => torch.ones([2]))];
  readonly sizes = [1, 2, 3];

  override forward(x: torch.Tensor): torch.Tensor {
    return x.mul(this.scales[0]!);
  }
}

describe('arrays of modules and parameters', () => {
  it('are state, under the names of a ModuleList', () => {
    torch.scope(() => {
      using module = new Branches();
      expect(names(module)).toEqual([
        'scales.0',
        'heads.0.weight',
        'heads.0.bias',
        'heads.2.weight',
      ]);
      module.eval().to('float64');
      expect(module.heads[1]!.training).toBe(false);
      expect([module.heads[0]!.parameters()[0]!.dtype, module.scales[0]!.dtype]).toEqual([
        'float64',
        'float64',
      ]);
    });
  });

  it.each([
    ['a Map', () => new Map([['a', new nn.ReLU()]])],
    ['a Set', () => new Set([new nn.ReLU()])],
    ['an object', () => ({ a: new nn.ReLU() })],
    ['an array', () => [[new nn.ReLU()]]],
  ])('are refused within %s, where they would be lost', (_, group) => {
    const module = Object.assign(new nn.Identity(), { group: group() });
    const error = coded('M3L_NN_CHILD', /Identity: found a ReLU within .* at 'group/);
    expect(() => module.parameters()).toThrow(error);
    expect(() => module.train()).toThrow(error);
  });

  it('are refused under a name that another has', () => {
    torch.scope(() => {
      const twice = { fooBar: new nn.Linear(1, 1), foo_bar: new nn.Linear(1, 1) };
      using module = Object.assign(new nn.Identity(), twice);
      expect(() => module.stateDict()).toThrow(coded('M3L_NN_CHILD', /name 'foo_bar.weight'/));
    });
  });

  it('form a tree: what is below itself is named', () => {
    const module = new nn.Sequential();
    Object.assign(module, { parent: new nn.Sequential(module) });
    expect(() => module.parameters()).toThrow(coded('M3L_NN_CYCLE', /as 'parent.0'/));
  });
});

describe('private fields', () => {
  class Plain extends nn.Module {
    override forward(x: torch.Tensor): torch.Tensor {
      return x;
    }
  }
  class HidesLayer extends Plain {
    readonly #layer = new nn.ReLU();
    run = (x: torch.Tensor) => this.#layer.forward(x);
  }
  class HidesLayers extends Plain {
    readonly #layers = [new nn.ReLU()];
    run = (x: torch.Tensor) => this.#layers[0]!.forward(x);
  }
  class HidesBelow extends HidesLayer {}
  class HidesParameter extends Plain {
    readonly #scale = nn.parameter(() => torch.ones([1]));
    run = (x: torch.Tensor) => x.mul(this.#scale);
    drop = () => this.#scale.dispose();
  }
  class Shares extends Plain {
    readonly #handed: nn.Module;
    readonly #kept = { layer: new nn.ReLU() };
    readonly #own: nn.Module;
    readonly own: nn.Module;
    readonly cache = () => [this.#handed, this.#kept, this.#own];

    constructor(handed: nn.Module) {
      super();
      this.#handed = handed;
      this.own = new nn.ReLU();
      this.#own = this.own;
    }
  }

  it.each([
    [HidesLayer, /HidesLayer: found a ReLU in the private field '#layer'/],
    [HidesLayers, /HidesLayers: found a ReLU in the private field '#layers'/],
    [HidesBelow, /HidesBelow: found a ReLU in the private field '#layer'/],
    [HidesParameter, /found a Tensor in the private field '#scale'/],
  ])('of %o would lose their state: an error, each time', (Hides, message) => {
    const module = new Hides();
    for (const root of [module, new nn.Sequential(module)]) {
      expect(() => root.parameters()).toThrow(coded('M3L_NN_CHILD', message));
      expect(() => root.stateDict()).toThrow(coded('M3L_NN_CHILD', message));
    }
    if (module instanceof HidesParameter) module.drop();
  });

  it('may hold what was handed in, what is a property too, and what an object keeps', () => {
    expect(new Shares(new nn.ReLU()).parameters()).toEqual([]);
  });
});

describe('tied weights', () => {
  class Tied extends nn.Module {
    readonly embedding = new nn.Embedding(3, 2);
    readonly first = new nn.Linear(2, 2);
    readonly again = this.first;
    readonly head = Object.assign(new nn.Linear(2, 3, { bias: false }), {
      weight: this.embedding.weight,
    });

    override forward(x: torch.Tensor): torch.Tensor {
      return x;
    }
  }

  it('are one parameter, in the state dict under each name', () => {
    torch.scope(() => {
      const module = new Tied();
      const before = names(module);
      expect(before).toEqual([
        'embedding.weight',
        'first.weight',
        'first.bias',
        'again.weight',
        'again.bias',
        'head.weight',
      ]);
      expect(module.namedParameters().map(([name]) => name)).toEqual(before.slice(0, 3));
      expect(module.modules()).toHaveLength(4);
      expect(module.loadStateDict(module.stateDict())).toEqual({ missing: [], unexpected: [] });
      const { 'head.weight': _, ...less } = module.stateDict();
      expect(() => module.loadStateDict(less)).toThrow(/missing: head.weight/);
      module.to('float64');
      expect(module.head.weight).toBe(module.embedding.weight);
      expect(module.embedding.weight.dtype).toBe('float64');
      expect(module.embedding.weight.requiresGrad).toBe(true);
      module.dispose();
    });
  });
});

describe('buffers', () => {
  it('that are not persistent move, and are in no state dict', () => {
    torch.scope(() => {
      const positions = nn.buffer(() => torch.ones([2]), { persistent: false });
      using module = Object.assign(new nn.Identity(), { positions });
      expect(names(module)).toEqual([]);
      expect(module.namedBuffers()).toEqual([['positions', positions]]);
      expect(module.to('float64').buffers()[0]!.dtype).toBe('float64');
    });
  });

  it('of the number of batches may be missing, as in files of before it was', () => {
    torch.scope(() => {
      using norm = new nn.BatchNorm1d(2);
      const { num_batches_tracked, ...before } = norm.stateDict();
      expect(num_batches_tracked!.dtype).toBe('int64');
      expect(norm.loadStateDict(before)).toEqual({ missing: [], unexpected: [] });
    });
  });
});

describe('containers', () => {
  it('of parameters keep them by index and by name', () => {
    torch.scope(() => {
      using list = new nn.ParameterList([torch.ones([2]), nn.parameter(() => torch.zeros([1]))]);
      expect(names(list)).toEqual(['0', '1']);
      expect(list.parameters().every((tensor) => tensor.requiresGrad)).toBe(true);
      using dict = new nn.ParameterDict({ scaleA: torch.ones([2]) });
      expect(names(dict.to('float64'))).toEqual(['scaleA']);
      expect(dict.get('scaleA').dtype).toBe('float64');
      expect(`${dict}`).toBe('ParameterDict(scaleA: float64 [2])');
      expect(() => list.forward()).toThrow(coded('M3L_NN_FORWARD', /A ParameterList has no/));
      expect(() => new nn.ParameterList([1] as never)).toThrow(/the number 1, expected a Tensor/);
      expect(() => new nn.ModuleDict({ 'a.b': new nn.ReLU() })).toThrow(/a name without dots/);
    });
  });

  it('run functions between layers, and add what a subclass holds', () => {
    torch.scope(() => {
      class Net extends nn.Sequential {
        readonly extra = new nn.Linear(1, 1, { bias: false });
      }
      using net = new Net(new nn.Linear(2, 2), (x) => x.zerosLike(), torch.relu);
      expect(net.forward(torch.ones([1, 2])).toArray()).toEqual([[0, 0]]);
      expect(names(net)).toEqual(['extra.weight', '0.weight', '0.bias']);
      expect(() => new nn.Sequential(nn.ReLU as never)).toThrow(/found the function ReLU/);
    });
  });
});

describe('hooks', () => {
  it('see and change arguments and outputs, in their order, until they are removed', () => {
    torch.scope(() => {
      const layer = new nn.Identity();
      const seen: unknown[] = [];
      const before = layer.registerForwardPreHook((module, [x]) => {
        seen.push(module);
        return (x as torch.Tensor).add(1);
      });
      const after = layer.registerForwardHook((_, args, output) => {
        seen.push((args[0] as torch.Tensor).item());
        return (output as torch.Tensor).mul(10);
      });
      layer.registerForwardHook((_, __, output) => void seen.push((output as torch.Tensor).item()));
      expect(new nn.Sequential(layer).forward(torch.tensor(2)).item()).toBe(30);
      expect(seen).toEqual([layer, 3, 30]);
      before.remove();
      after.remove();
      after.remove();
      expect(layer.forward(torch.tensor(2)).item()).toBe(2);
    });
  });

  it('leave the module as it was, once all are gone', () => {
    const layer = new nn.Identity();
    {
      using _ = layer.registerForwardHook(() => 'changed');
      expect(layer.forward('given' as never)).toBe('changed');
    }
    expect(Object.keys(layer)).toEqual(['training']);
    expect(Object.hasOwn(layer, 'forward')).toBe(false);
    expect(() => layer.registerForwardHook(1 as never)).toThrow(/expected a function/);
  });
});

describe('a printed module', () => {
  it('is the tree of the calls that make it', () => {
    torch.scope(() => {
      using net = new nn.Sequential(
        new nn.Conv2d(1, 4, 3, { padding: 1, stride: [2, 1] }),
        new nn.LeakyReLU({ negativeSlope: 0.2 }),
        new nn.ModuleList([new nn.Linear(4, 4), new nn.Linear(4, 4)]) as never,
        new nn.MaxPool2d(2),
        new nn.CrossEntropyLoss({ weight: torch.ones([3]), reduction: 'sum' }) as never,
      );
      expect(inspect(net)).toBe(`Sequential(
  (0): Conv2d(1, 4, 3, { stride: [2, 1], padding: 1 })
  (1): LeakyReLU({ negativeSlope: 0.2 })
  (2): ModuleList(
    (0-1): 2 × Linear(4, 4)
  )
  (3): MaxPool2d(2)
  (4): CrossEntropyLoss({ reduction: 'sum', weight: Tensor [3] })
)`);
      using encoder = new nn.TransformerEncoderLayer(4, 2, { dropout: 0 });
      expect(`${encoder}`).toMatch(
        /^TransformerEncoderLayer\(4, 2, \{ dropout: 0 \}\) \(\n {2}\(self/,
      );
    });
  });
});
