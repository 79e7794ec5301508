import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { torch } from 'm3l';
import { describe, expect, it } from 'vitest';

const library = new URL('../../dist/torch/index.js', import.meta.url).href;

const leaf = (values: number[]) => {
  const x = torch.tensor(values, { dtype: 'float64' });
  x.requiresGrad = true;
  return x;
};

const square = torch.customFunction({
  forward(context, x: torch.Tensor) {
    context.saveForBackward(x);
    return x.mul(x);
  },
  backward(context, gradient) {
    return gradient.mul(context.savedTensors[0]!).mul(2);
  },
});

describe('hooks', () => {
  it('01 see the gradient, may replace it, and are removed', () =>
    torch.scope(() => {
      const x = leaf([1, 2]);
      const seen: unknown[] = [];
      const remove = x.registerHook((gradient) => {
        seen.push(gradient.toArray());
        return gradient.mul(10);
      });
      x.square().sum().backward();
      expect(seen).toEqual([[2, 4]]);
      expect(x.grad!.toArray()).toEqual([20, 40]);
      remove();
      x.square().sum().backward();
      expect(x.grad!.toArray()).toEqual([22, 44]);
      expect(seen).toHaveLength(1);
    }));

  it('02 also of what is computed, in the order of the backward', () =>
    torch.scope(() => {
      const x = leaf([3]);
      const seen: string[] = [];
      const y = x.mul(2);
      y.registerHook((gradient) => void seen.push(`y ${gradient.item()}`));
      x.registerHook((gradient) => void seen.push(`x ${gradient.item()}`));
      y.square().sum().backward();
      expect(seen).toEqual(['y 12', 'x 24']);
    }));

  it('03 their errors come out of backward as they are, and nothing is left behind', () => {
    const before = torch.memory().tensors;
    torch.scope(() => {
      const x = leaf([1]);
      const mistake = new RangeError('mine');
      const remove = x.registerHook((): null => {
        torch.ones([3]);
        throw mistake;
      });
      const loss = x.square().sum();
      expect(() => loss.backward(null, { retainGraph: true })).toThrow(mistake);
      remove();
      loss.backward();
      expect(x.grad!.toArray()).toEqual([2]);
      expect(() => x.registerHook((() => 3) as never)).not.toThrow();
      expect(() => x.square().sum().backward()).toThrow(/hook's result.*Tensor/);
      expect(() => x.registerHook(3 as never)).toThrow(/expected a function/);
      expect(() => torch.ones([1]).registerHook(() => null)).toThrow(
        expect.objectContaining({ code: 'M3L_NO_GRADIENT' }),
      );
    });
    expect(torch.memory().tensors).toBe(before);
  });

  it('04 of an asynchronous backward are called from the event loop', async () => {
    await torch.scope(async () => {
      const x = leaf([1, 2]);
      const seen: unknown[] = [];
      x.registerHook((gradient) => {
        seen.push(gradient.toArray());
        return gradient.neg();
      });
      const done = square(x).sum().backwardAsync();
      expect(seen).toEqual([]);
      await done;
      expect(seen).toEqual([[2, 4]]);
      expect(x.grad!.toArray()).toEqual([-2, -4]);
      x.registerHook((): null => {
        throw new RangeError('later');
      });
      await expect(x.square().sum().backwardAsync()).rejects.toThrow(new RangeError('later'));
    });
  });

  it('05 of a device: backward runs on another thread, hooks, functions and inner backwards here', () => {
    const source = `
      import * as torch from ${JSON.stringify(library)};
      import { isMainThread } from 'node:worker_threads';
      const x = torch.ones([4], { dtype: 'float64' });
      x.requiresGrad = true;
      const seen = [];
      const cube = torch.customFunction({
        forward(context, x) { context.saveForBackward(x); return x.pow(3); },
        backward(context, gradient) {
          seen.push('backward', torch.isGradEnabled());
          return gradient.mul(context.savedTensors[0].square()).mul(3);
        },
      });
      const inner = (x) => cube(x).mul(2);
      const y = torch.checkpoint(inner, x);
      y.registerHook((gradient) => { seen.push('hook ' + gradient.numel()); });
      y.sum().backward();
      const [g] = torch.grad(cube(x).sum(), [x]);
      let message = '';
      x.registerHook(() => { throw new RangeError('mine'); });
      try { cube(x).sum().backward(); } catch (error) { message = error.constructor.name + error.message; }
      console.log(JSON.stringify({ seen, grad: x.grad.toArray(), g: g.toArray(), message }));
    `;
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', source], {
      encoding: 'utf8',
      cwd: fileURLToPath(new URL('../../', import.meta.url)),
      env: { ...process.env, M3L_BACKWARD_THREAD: '1' },
      timeout: 120_000,
    });
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toEqual({
      seen: ['hook 4', 'backward', false, 'backward', false, 'backward', false],
      grad: [6, 6, 6, 6],
      g: [3, 3, 3, 3],
      message: 'RangeErrormine',
    });
  });

  it('06 a worker that ends with hooks, and one that ends while they are called', async () => {
    const source = `
      const { parentPort } = require('node:worker_threads');
      import(${JSON.stringify(library)}).then(async (torch) => {
        const x = torch.ones([4]);
        x.requiresGrad = true;
        let calls = 0;
        x.registerHook(() => { calls += 1; parentPort.postMessage(calls); });
        for (;;) await x.mul(2).sum().backwardAsync();
      });
    `;
    const worker = new Worker(source, { eval: true });
    await new Promise<void>((resolve, reject) => {
      worker.on('message', (calls) => calls === 5 && resolve());
      worker.on('error', reject);
    });
    expect(await worker.terminate()).toBe(1);
  });
});

describe('custom functions', () => {
  it('01 their gradients are those of their backward', () =>
    torch.scope(() => {
      const x = leaf([1, -2, 3]);
      const y = square(x);
      expect(y.gradFn!.name).toBe('CustomFunctionBackward');
      y.sum().backward();
      expect(x.grad!.toArray()).toEqual([2, -4, 6]);
      expect(torch.gradcheck(square, [x])).toBe(true);
      expect(torch.gradgradcheck(square, [x])).toBe(true);
    }));

  it('02 several inputs and outputs, arguments that are none, outputs without gradient', () =>
    torch.scope(() => {
      const scaled = torch.customFunction({
        forward(context, x: torch.Tensor, factor: number, y: torch.Tensor) {
          const best = x.argmax();
          context.markNonDifferentiable(best);
          context.saveForBackward(x, y);
          return [x.mul(y).mul(factor), x.add(y), best];
        },
        backward(context, first, second) {
          const [x, y] = context.savedTensors;
          return [first!.mul(y!).mul(3).add(second!), null, first!.mul(x!).mul(3).add(second!)];
        },
      });
      const [x, y] = [leaf([1, 2]), leaf([5, 7])];
      const [product, sum, best] = scaled(x, 3, y);
      expect([product!.toArray(), sum!.toArray(), best!.item()]).toEqual([[15, 42], [6, 9], 1]);
      expect([product!.requiresGrad, best!.requiresGrad]).toEqual([true, false]);
      product!.sum().backward();
      expect([x.grad!.toArray(), y.grad!.toArray()]).toEqual([
        [15, 21],
        [3, 6],
      ]);
    }));

  it('03 a wrong backward is found by gradcheck, and named', () =>
    torch.scope(() => {
      const wrong = torch.customFunction({
        forward(context, x: torch.Tensor) {
          context.saveForBackward(x);
          return x.mul(x);
        },
        backward: (context, gradient) => gradient.mul(context.savedTensors[0]!),
      });
      expect(() => torch.gradcheck(wrong, [leaf([3])])).toThrow(
        /element 0 of output 0 .* element 0 of input 0 is 3, differences say 6/,
      );
    }));

  it('04 mistakes are sentences', () =>
    torch.scope(() => {
      const x = leaf([1]);
      const of = (forward: unknown, backward: unknown) =>
        torch.customFunction({ forward, backward } as never) as (x: torch.Tensor) => torch.Tensor;
      const identity = (_: unknown, y: torch.Tensor) => y;
      expect(() => of(3, identity)).toThrow(/forward: found the number 3, expected a function/);
      expect(() => of(() => 3, identity)(x)).toThrow(
        /forward's result' must be a Tensor, found the number 3/,
      );
      expect(() => of(identity, () => [])(x).backward()).toThrow(/0 gradients, expected 1/);
      expect(() => of(identity, () => ['a'])(x).backward()).toThrow(/gradient 0 is .*'a'/);
      expect(() =>
        of(identity, () => torch.ones([3]))(leaf([1, 2]))
          .sum()
          .backward(),
      ).toThrow(/invalid gradient|shape/);
      const late = of(
        (context: torch.FunctionContext, y: torch.Tensor) => {
          const z = y.exp();
          context.saveForBackward(z);
          return z;
        },
        (context: torch.FunctionContext, g: torch.Tensor) => g.mul(context.savedTensors[0]!),
      );
      const z = late(x);
      z.detach().add_(1);
      expect(() => z.backward()).toThrow(/modified by an inplace operation/);
    }));

  it('05 what it saved goes with the graph', () => {
    const before = torch.memory().tensors;
    torch.scope(() => {
      const x = torch.ones([2 ** 18]);
      x.requiresGrad = true;
      const { cpu } = torch.memory().allocatedByDevice;
      const grown = () => (torch.memory().allocatedByDevice.cpu! - cpu!) / 2 ** 20;
      const exp = torch.customFunction({
        forward(context, y: torch.Tensor) {
          const z = y.exp();
          context.saveForBackward(z);
          return z;
        },
        backward: (context, gradient) => gradient.mul(context.savedTensors[0]!),
      });
      const loss = torch.scope(() => exp(exp(x)).sum());
      expect(grown()).toBeGreaterThan(1.9);
      loss.backward();
      expect(grown()).toBeLessThan(1.1);
    });
    expect(torch.memory().tensors).toBe(before);
  });
});

describe('checkpoint', () => {
  it('01 the same numbers, gradients and draws, for less memory', () =>
    torch.scope(() => {
      const w = torch.full([2 ** 16], 0.5, { dtype: 'float64' });
      w.requiresGrad = true;
      const block = (x: torch.Tensor) =>
        (torch.ops.aten!.dropout!(x.mul(w).exp().sin(), 0.5, true) as torch.Tensor).exp();
      const run = (through: (x: torch.Tensor) => torch.Tensor) =>
        torch.scope(() => {
          w.grad = null;
          torch.manualSeed(3);
          const x = torch.linspace(0, 1, 2 ** 16, { dtype: 'float64' });
          x.requiresGrad = true;
          const { cpu } = torch.memory().allocatedByDevice;
          const loss = torch.scope(() => through(x).sum());
          const held = torch.memory().allocatedByDevice.cpu! - cpu!;
          loss.backward();
          const next = torch.rand([1]).item();
          return {
            held,
            next,
            gradients: [loss.item(), x.grad!.sum().item(), w.grad!.sum().item()],
          };
        });
      const plain = run(block);
      const saved = run((x) => torch.checkpoint(block, x));
      expect(saved.gradients).toEqual(plain.gradients);
      expect(saved.next).toBe(plain.next);
      expect(saved.held).toBeLessThan(0.4 * plain.held);
    }));

  it('02 needs an input that requires a gradient', () =>
    torch.scope(() => {
      expect(() => torch.checkpoint((x) => x.exp(), torch.ones([1]))).toThrow(/no input requires/);
    }));
});

describe('derivatives', () => {
  const close = (x: torch.Tensor, expected: unknown) =>
    expect(
      x
        .sub(torch.tensor(expected as number[], { dtype: 'float64' }))
        .abs()
        .max()
        .item(),
    ).toBeLessThan(1e-12);

  it('01 jacobian and hessian', () =>
    torch.scope(() => {
      const x = leaf([1, 2]);
      const y = leaf([3, 4]);
      close(
        torch.jacobian((a) => a.square(), x),
        [
          [2, 0],
          [0, 4],
        ],
      );
      const [dx, dy] = torch.jacobian((a, b) => a.mul(b), [x, y]);
      close(dx!, [
        [3, 0],
        [0, 4],
      ]);
      close(dy!, [
        [1, 0],
        [0, 2],
      ]);
      close(
        torch.hessian((a) => a.pow(3).sum().add(a.prod()), x),
        [
          [6, 1],
          [1, 12],
        ],
      );
      close(
        torch.hessian((a) => a.sum(), x),
        [
          [0, 0],
          [0, 0],
        ],
      );
      expect(() => torch.hessian((a) => a.square(), x)).toThrow(
        /shape \[2\], expected one element/,
      );
      expect(() => torch.jacobian(() => 3 as never, x)).toThrow(
        /gave the number 3, expected one Tensor/,
      );
    }));

  it('02 vjp and jvp agree with the jacobian', () =>
    torch.scope(() => {
      const x = leaf([0.3, -0.2, 0.9]);
      const fn = (a: torch.Tensor) => torch.stack([a.sin().sum(), a.prod(), a.exp().sum()]);
      const matrix = torch.jacobian(fn, x);
      const v = torch.tensor([1, -2, 0.5], { dtype: 'float64' });
      close(torch.vjp(fn, [x], v).gradients[0]!, v.matmul(matrix).toArray());
      // x requires no gradient here: the tangents pass where autograd's layer would be skipped.
      const { output, tangent } = torch.jvp(fn, [x.detach()], [v]);
      close(tangent, matrix.matmul(v).toArray());
      close(output, fn(x).toArray());
      expect(() => torch.jvp(fn, [x], [])).toThrow(/0 tangents for 1 inputs/);
    }));

  it('03 detectAnomaly names the function', () =>
    torch.scope(() => {
      const x = leaf([0]);
      const loss = x.sqrt().mul(0).sum();
      expect(() => torch.detectAnomaly(() => loss.backward())).toThrow(
        /'SqrtBackward0' returned nan/,
      );
      expect(x.mul(x).gradFn!.name).toBe('MulBackward0');
      expect(x.gradFn).toBe(null);
    }));
});
