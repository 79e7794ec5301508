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
