import { nn, torch } from 'm3l';
import { describe, expect, it } from 'vitest';
import { filled, flat, utilsFixture, values } from './sines.js';

interface Hooked {
  seen: [name: string, ...gradients: (number[] | null)[]][];
  gradients: Record<string, number[]>;
  input: number[] | null;
}
const fixture = utilsFixture<{ hooks: Hooked[] }>().hooks;
const near = { rtol: 1e-5, atol: 1e-6 };

describe('hooks on the backward of modules', () => {
  it.each(fixture.map((each) => [each.input !== null, each] as const))(
    'see and change what PyTorch gives them; the input requires a gradient: %s',
    (requiresGrad, expected) => {
      torch.scope(() => {
        using net = filled(
          new nn.Sequential(new nn.Linear(3, 4), new nn.Tanh(), new nn.Linear(4, 2)),
        );
        const seen: [string, ...(number[] | null)[]][] = [];
        const see =
          (name: string): nn.BackwardHook =>
          (_, given, out) => {
            const numbers = [...given, ...out].map((x) => x && (flat(x).toArray() as number[]));
            seen.push([name, ...numbers]);
          };
        const [first, second, third] = [net.at(0), net.at(1), net.at(2)];
        first.registerFullBackwardHook(see('first'));
        second.registerFullBackwardHook(see('second'));
        second.registerFullBackwardHook((_, [gradient]) => gradient!.mul(2));
        second.registerFullBackwardHook(see('changed'));
        third.registerFullBackwardPreHook((_, [gradient]) => [gradient!.mul(3)]);
        net.registerFullBackwardHook(see('all'));
        const x = values(0, [2, 3]).requiresGrad_(requiresGrad);
        const output = net.forward(x);
        output.mul(values(40, output.shape)).sum().backward();
        expect(seen.map(([name]) => name)).toEqual(expected.seen.map(([name]) => name));
        for (const [i, [name, ...gradients]] of seen.entries()) {
          for (const [j, numbers] of gradients.entries()) {
            const wanted = expected.seen[i]![j + 1] as number[] | null;
            if (wanted === null) expect([name, numbers]).toEqual([name, null]);
            else expect(torch.tensor(numbers!), name).toBeCloseToTensor(wanted, near);
          }
        }
        for (const [name, { grad }] of net.namedParameters()) {
          expect(flat(grad!), name).toBeCloseToTensor(expected.gradients[name]!, near);
        }
        if (expected.input) expect(flat(x.grad!)).toBeCloseToTensor(expected.input, near);
        net.zeroGrad();
      });
    },
  );

  it('see every argument and output, null where there is no gradient', () => {
    torch.scope(() => {
      class Split extends nn.Module {
        override forward(_: string, x: torch.Tensor) {
          return [x.narrow(0, 0, 2).mul(2), 'between', x.narrow(0, 2, 1).mul(3)] as const;
        }
      }
      const split = new Split();
      const seen: unknown[] = [];
      using _ = split.registerFullBackwardHook((__, given, out) => {
        seen.push([given, out].map((list) => list.map((x) => x?.toArray() ?? null)));
      });
      const x = torch.ones([3]).requiresGrad_();
      const [first] = split.forward('text', x);
      first.sum().backward();
      expect(seen).toEqual([
        [
          [null, [2, 2, 0]],
          [[1, 1], null, [0]],
        ],
      ]);
    });
  });

  it('join a graph of second order, and are called by backwardAsync', async () => {
    await torch.scope(async () => {
      const tanh = new nn.Tanh();
      let calls = 0;
      using _ = tanh.registerFullBackwardHook((__, [gradient]) => {
        calls += 1;
        return gradient!.mul(2);
      });
      const x = torch.tensor([0.5]).requiresGrad_();
      const [gradient] = torch.grad(tanh.forward(x).sum(), x, { createGraph: true });
      gradient!.sum().backward();
      // d/dx of 2·(1 − tanh²): the hook doubles the first derivative only.
      const t = Math.tanh(0.5);
      expect(x.grad!).toBeCloseToTensor([-4 * t * (1 - t * t)], near);
      expect(calls).toBe(1);
      x.grad = null;
      await tanh.forward(x).sum().backwardAsync();
      expect(x.grad!).toBeCloseToTensor([2 * (1 - t * t)], near);
      expect(calls).toBe(2);
    });
  });

  it('are refused where they are no functions, or answer what is no gradient', () => {
    torch.scope(() => {
      const tanh = new nn.Tanh();
      expect(() => tanh.registerFullBackwardHook(1 as never)).toThrow(/expected a function/);
      using _ = tanh.registerFullBackwardPreHook(() => [null, null]);
      const x = torch.ones([1]).requiresGrad_();
      expect(() => tanh.forward(x).sum().backward()).toThrow(/expected 1 gradients/);
    });
  });
});

describe('hooks on state dicts', () => {
  it('add, rename and delete, children before parents, until they are removed', () => {
    torch.scope(() => {
      using net = new nn.Sequential(new nn.Linear(1, 1, { bias: false }));
      const order: string[] = [];
      const child = net.at(0);
      child.registerStateDictPreHook((_, prefix) => void order.push(`before ${prefix}`));
      child.registerStateDictPostHook((_, state, prefix) => {
        order.push(`after ${prefix}`);
        state[`${prefix}w`] = state[`${prefix}weight`]!;
        delete state[`${prefix}weight`];
      });
      net.registerStateDictPostHook((_, state) => void order.push(Object.keys(state).join()));
      const load = child.registerLoadStateDictPreHook((_, state, prefix) => {
        state[`${prefix}weight`] = state[`${prefix}w`]!;
        delete state[`${prefix}w`];
      });
      net.registerLoadStateDictPostHook((module, result) => {
        order.push(`loaded ${module === net} ${result.unexpected}`);
      });
      const given = { '0.w': torch.tensor([[5]]), more: torch.ones([1]) };
      net.loadStateDict(given, { strict: false });
      expect(Object.keys(given)).toEqual(['0.w', 'more']);
      expect(net.stateDict()['0.w']!.item()).toBe(5);
      expect(order).toEqual(['loaded true more', 'before 0.', 'after 0.', '0.w']);
      load.remove();
      expect(() => net.loadStateDict(given)).toThrow(/missing: 0.weight; unexpected: 0.w, more/);
    });
  });
});
