import { readFileSync } from 'node:fs';
import { optim, torch } from 'm3l';
import { describe, expect, it } from 'vitest';

const fixture = JSON.parse(
  readFileSync(new URL('../fixtures/lbfgs.json', import.meta.url), 'utf8'),
) as Record<string, number[][]>;

const cases: Record<string, Partial<optim.LBFGSOptions>> = {
  plain: { lr: 0.01, maxIter: 4 },
  history: { lr: 0.1, maxIter: 6, historySize: 2 },
  wolfe: { lineSearch: 'strongWolfe', maxIter: 5 },
  'wolfe-few': { lineSearch: 'strongWolfe', maxIter: 20, maxEval: 7 },
};

const leaf = (values: number[]) => torch.tensor(values, { dtype: 'float64' }).requiresGrad_();

/** The Rosenbrock function of scripts/golden/optimizers.py. */
function rosenbrock(options: Partial<optim.LBFGSOptions>) {
  const [x, y] = [leaf([-1.5]), leaf([1, 2])];
  const optimizer = new optim.LBFGS([x, y], options);
  const closure = () => {
    optimizer.zeroGrad();
    const steep = y.sub(x.square()).square().sum().mul(100);
    const loss = torch.ones([1], { dtype: 'float64' }).sub(x).square().sum().add(steep);
    loss.backward();
    return loss;
  };
  return { x, y, optimizer, closure };
}

describe('LBFGS', () => {
  it.each(Object.keys(cases))('equals PyTorch over five steps: %s', (name) =>
    torch.scope(() => {
      const { x, y, optimizer, closure } = rosenbrock(cases[name]!);
      using _ = optimizer;
      for (const [before, ...parameters] of fixture[name]!) {
        const found = [optimizer.step(closure), ...[x, y].flatMap((t) => t.toArray() as number[])];
        for (const [i, expected] of [before!, ...parameters].entries()) {
          expect(Math.abs(found[i]! - expected)).toBeLessThan(1e-7 * (1 + Math.abs(expected)));
        }
      }
    }),
  );

  it.each(Object.keys(cases))('goes on from a saved state: %s', (name) =>
    torch.scope(() => {
      const first = rosenbrock(cases[name]!);
      for (let step = 0; step < 3; step++) first.optimizer.step(first.closure);
      const second = rosenbrock({ maxIter: 1 });
      torch.noGrad(() => {
        second.x.copy_(first.x);
        second.y.copy_(first.y);
      });
      const { tensors, meta } = first.optimizer.stateDict();
      second.optimizer.loadStateDict({ tensors, meta: JSON.parse(JSON.stringify(meta)) });
      for (const [name, tensor] of Object.entries(second.optimizer.stateDict().tensors)) {
        expect(tensor.equal(tensors[name]!), name).toBe(true);
      }
      first.optimizer.dispose();
      for (const [before, ...parameters] of fixture[name]!.slice(3)) {
        const { x, y, optimizer, closure } = second;
        const found = [optimizer.step(closure), ...[x, y].flatMap((t) => t.toArray() as number[])];
        for (const [i, expected] of [before!, ...parameters].entries()) {
          expect(Math.abs(found[i]! - expected)).toBeLessThan(1e-7 * (1 + Math.abs(expected)));
        }
      }
      second.optimizer.dispose();
    }),
  );

  it('refuses a state that does not fit, and stays as it was', () =>
    torch.scope(() => {
      const { optimizer, closure } = rosenbrock({ lineSearch: 'strongWolfe', historySize: 2 });
      using _ = optimizer;
      const empty = optimizer.stateDict();
      expect(empty.tensors).toEqual({});
      optimizer.step(closure);
      const { tensors, meta } = optimizer.stateDict();
      expect(Object.keys(tensors)).toEqual([
        ...['0.d', '0.prev_flat_grad', '0.t', '0.H_diag'],
        ...['0.old_stps.0', '0.old_stps.1', '0.old_dirs.0', '0.old_dirs.1'],
      ]);
      const [group] = meta.groups;
      const load =
        (changes: object, more: object = {}) =>
        () =>
          optimizer.loadStateDict({
            tensors: { ...tensors, ...changes },
            meta: { ...meta, groups: [{ ...group, ...more }] },
          });
      expect(load({ '0.d': torch.zeros([3]) })).toThrow(/'0.d' is float32 \[3\], expected float64/);
      expect(load({ '0.old_stps.1': undefined })).toThrow(/'0.old_stps.1' is undefined, expected/);
      expect(() => optimizer.loadStateDict(null as never)).toThrow(/found null for a state, expec/);
      expect(load({ x: torch.zeros([3]) })).toThrow(/State of 9 tensors/);
      expect(load({}, { historySize: 1 })).toThrow(/at most 1/);
      expect(load({}, { lr: -1 })).toThrow(/-1 for lr/);
      expect(load({}, { parameters: 3 })).toThrow(/groups with 3 parameters, expected 2/);
      expect(Object.keys(optimizer.stateDict().tensors)).toEqual(Object.keys(tensors));
      optimizer.loadStateDict(empty);
      expect(optimizer.stateDict().tensors).toEqual({});
    }));

  it('finds the minimum of a linear regression in one step, and a schedule moves its rate', () =>
    torch.scope(() => {
      const inputs = torch.randn([30, 4], { dtype: 'float64' });
      const truth = torch.tensor([1, -2, 3, 0.5], { dtype: 'float64' });
      const w = torch.zeros([4], { dtype: 'float64' }).requiresGrad_();
      using optimizer = new optim.LBFGS([w], { lineSearch: 'strongWolfe', maxIter: 50 });
      optimizer.step(() => {
        optimizer.zeroGrad();
        const loss = inputs.matmul(w.sub(truth)).square().mean();
        loss.backward();
        return loss;
      });
      expect(w.detach().sub(truth).abs().max().item()).toBeLessThan(1e-5);
      new optim.ExponentialLR(optimizer, { gamma: 0.5 }).step();
      expect(optimizer.groups[0]!.lr).toBe(0.5);
    }));

  it('mistakes are sentences', () =>
    torch.scope(() => {
      const w = leaf([1]);
      const make = (options: object, params: unknown = [w]) =>
        new optim.LBFGS(params as torch.Tensor[], options);
      expect(() => make({ maxIter: 0 })).toThrow(/0 for maxIter, expected a positive integer/);
      expect(() => make({ lineSearch: 'wolfe' })).toThrow(/'none', 'strongWolfe'/);
      expect(() => make({ lineFearch: 'none' })).toThrow(/found the option 'lineFearch'/);
      expect(() => make({}, [])).toThrow(/expected one that is not empty/);
      expect(() => make({}, [w, torch.ones([1]).requiresGrad_()])).toThrow(/float64 .* float32/);
      expect(() => make({}).step(() => 3 as never)).toThrow(
        /returned the number 3, expected the loss/,
      );
      expect(() => make({}).step(3 as never)).toThrow(/expected a function/);
    }));
});
