import { optim, torch } from 'm3l';
import { describe, expect, it } from 'vitest';

type Tensor = torch.Tensor;

const devices = torch.cuda.isAvailable() ? ['cpu', 'cuda'] : ['cpu'];
if (devices.length === 1) console.warn('adamw-ema: CUDA skipped, there is no device');

/** Empty, single, odd, and larger than what one thread or one CUDA block takes. */
const SHAPES = [[], [1], [3, 5], [0], [17], [64, 33], [5, 3, 3, 3], [70_001]];
const OPTIONS = { lr: 1e-2, beta1: 0.9, beta2: 0.98, eps: 1e-6, weightDecay: 0.1 };

interface Lists {
  parameters: Tensor[];
  gradients: Tensor[];
  expAvgs: Tensor[];
  expAvgSqs: Tensor[];
  steps: Tensor[];
  teachers: Tensor[];
}

function lists(dtype: 'float32' | 'float64', device = 'cpu', shapes: number[][] = SHAPES): Lists {
  const generator = new torch.Generator().manualSeed(5);
  const make = () => shapes.map((shape) => torch.randn(shape, { dtype, generator }).to({ device }));
  return {
    parameters: make().map((parameter) => parameter.requiresGrad_()),
    gradients: make(),
    expAvgs: make(),
    expAvgSqs: make().map((tensor) => tensor.square_()),
    steps: shapes.map((_, i) => torch.tensor(i % 3)),
    teachers: make(),
  };
}

const { adamw_ema_: adamwEma, ema_update_: emaUpdate } = torch.ops.m3l as unknown as Record<
  'adamw_ema_' | 'ema_update_',
  (...args: unknown[]) => void
>;

function ours(on: Lists, options: object = OPTIONS): void {
  const { parameters, gradients, expAvgs, expAvgSqs, steps, teachers } = on;
  torch.noGrad(() => adamwEma(parameters, gradients, expAvgs, expAvgSqs, steps, teachers, options));
}

/** The same by PyTorch's own operators. */
function plain(on: Lists, emaFactor: number): void {
  const { parameters, gradients, expAvgs, expAvgSqs, teachers } = on;
  torch.noGrad(() => {
    torch._foreachAdd_(on.steps, 1);
    const steps = on.steps.map((step) => step.to({ device: parameters[0]!.device }));
    torch._fusedAdamw_(parameters, gradients, expAvgs, expAvgSqs, [], steps, {
      ...OPTIONS,
      amsgrad: false,
      maximize: false,
    });
    if (teachers.length > 0) torch._foreachLerp_(teachers, parameters, 1 - emaFactor);
  });
}

function expectEqual(found: Lists, wanted: Lists, rtol: number): void {
  for (const name of Object.keys(found) as (keyof Lists)[]) {
    for (const [i, tensor] of found[name].entries()) {
      const other = wanted[name][i]!.detach();
      expect(tensor.detach(), `${name}[${i}]`).toBeCloseToTensor(other, { rtol, atol: rtol });
    }
  }
}

const bytes = (tensors: Tensor[]) => tensors.map((tensor) => tensor.detach().toArray());

describe.each(devices)('adamw_ema_ on %s', (device) => {
  it.each([
    ['float32', 2e-6],
    ['float64', 1e-12],
  ] as const)('equals _fused_adamw_ and lerp in %s, over several steps', (dtype, rtol) => {
    torch.scope(() => {
      const [found, wanted] = [lists(dtype, device), lists(dtype, device)];
      for (const emaFactor of [0, 0.3, 0.5, 0.99, 1]) {
        ours(found, { ...OPTIONS, emaFactor });
        plain(wanted, emaFactor);
        expectEqual(found, wanted, rtol);
      }
    });
  });

  it('is plain AdamW without teachers', () => {
    torch.scope(() => {
      const found = { ...lists('float32', device), teachers: [] };
      const wanted = { ...lists('float32', device), teachers: [] };
      ours(found);
      plain(wanted, 0);
      expectEqual(found, wanted, 2e-6);
    });
  });

  it('takes what a captured graph must read anew from scalars', () => {
    torch.scope(() => {
      const found = lists('float32', device);
      const wanted = lists('float32', device);
      for (const step of wanted.steps) step.fill_(4);
      const scalars = torch
        .tensor([OPTIONS.lr, 1 - OPTIONS.beta1 ** 5, 1 - OPTIONS.beta2 ** 5, 0.7], {
          dtype: 'float64',
        })
        .to({ device });
      ours({ ...found, steps: [] }, { ...OPTIONS, lr: 99, emaFactor: 1, scalars });
      plain(wanted, 0.7);
      expectEqual({ ...found, steps: [] }, wanted, 2e-6);
    });
  });

  it('takes tensors whose layouts differ', () => {
    torch.scope(() => {
      const shapes = [
        [4, 6],
        [2, 3, 5, 7],
      ];
      const [found, wanted] = [lists('float32', device, shapes), lists('float32', device, shapes)];
      const turned = ([matrix, image]: Tensor[]) => [
        matrix!.detach().t().contiguous().t(),
        image!.detach().permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2]),
      ];
      // Of every list, since each is laid out as its parameter by another line.
      const changed: Lists = {
        ...found,
        gradients: turned(found.gradients),
        expAvgs: turned(found.expAvgs),
        expAvgSqs: turned(found.expAvgSqs),
        teachers: turned(found.teachers),
      };
      ours(changed, { ...OPTIONS, emaFactor: 0.4 });
      plain(wanted, 0.4);
      expectEqual(changed, wanted, 2e-6);
      const expanded = torch.ones([1], { device }).expand([4, 6]);
      ours({ ...changed, gradients: [expanded, changed.gradients[1]!] });
    });
  });

  it('gives the same to the last bit again, and with more threads', () => {
    torch.scope(() => {
      const threads = torch.getNumThreads();
      const runs = [1, 1, 2].map((count) => {
        torch.setNumThreads(count);
        const on = lists('float32', device);
        ours(on, { ...OPTIONS, emaFactor: 0.9 });
        return [on.parameters, on.expAvgs, on.expAvgSqs, on.teachers].map(bytes);
      });
      torch.setNumThreads(threads);
      expect(runs[1]).toEqual(runs[0]);
      expect(runs[2]).toEqual(runs[0]);
    });
  });

  it('lets autograd know that a saved tensor changed', () => {
    torch.scope(() => {
      const on = lists('float32', device);
      const loss = on.parameters[2]!.square().sum();
      ours(on);
      expect(() => loss.backward()).toThrow(/modified by an inplace operation/);
      expect(on.parameters[2]!.requiresGrad && on.parameters[2]!.isLeaf).toBe(true);
    });
  });
});

describe.each(devices)('ema_update_ on %s', (device) => {
  it.each(['float32', 'float64'] as const)('equals lerp in %s', (dtype) => {
    torch.scope(() => {
      const [found, wanted] = [lists(dtype, device), lists(dtype, device)];
      for (const factor of [0, 0.2, 0.5, 0.99, 1]) {
        torch.noGrad(() => {
          emaUpdate(found.teachers, found.parameters, factor);
          torch._foreachLerp_(wanted.teachers, wanted.parameters, 1 - factor);
        });
        expectEqual(found, wanted, dtype === 'float32' ? 2e-7 : 1e-15);
      }
    });
  });

  it('takes the factor from a scalar, as a captured graph must read it anew', () => {
    torch.scope(() => {
      const [found, wanted] = [lists('float32', device), lists('float32', device)];
      const scalar = torch.zeros([1], { dtype: 'float64', device });
      for (const factor of [0, 0.2, 0.99]) {
        scalar.fill_(factor);
        torch.noGrad(() => {
          emaUpdate(found.teachers, found.parameters, 1, scalar);
          emaUpdate(wanted.teachers, wanted.parameters, factor);
        });
        expectEqual(found, wanted, 0);
      }
    });
  });

  it('copies exactly with factor 0, whatever was there', () => {
    torch.scope(() => {
      const student = torch.tensor([0.1, 1e30, -0, 3]).to({ device });
      const teacher = torch.full([4], Number.NaN, { device });
      emaUpdate([teacher], [student], 0);
      expect(teacher.toArray()).toEqual(student.toArray());
      const transposed = torch.zeros([5, 4], { device }).t();
      const other = torch.randn([4, 5], { device });
      emaUpdate([transposed], [other], 0);
      expect(transposed.toArray()).toEqual(other.toArray());
    });
  });
});

describe('adamw_ema_ and ema_update_', () => {
  it('refuse lists that do not fit, by name', () => {
    torch.scope(() => {
      const on = lists('float32');
      const refuses = (change: Partial<Lists>, message: RegExp, options: object = OPTIONS) =>
        expect(() => ours({ ...on, ...change }, options)).toThrow(message);
      refuses({ gradients: on.gradients.slice(1) }, /adamw_ema_: 7 gradients, expected 8/);
      refuses({ teachers: on.teachers.slice(1) }, /adamw_ema_: 7 teachers, expected 8/);
      refuses({ steps: on.steps.slice(1) }, /adamw_ema_: 7 steps, expected 8/);
      refuses(
        { expAvgs: on.expAvgs.with(2, torch.zeros([3])) },
        /adamw_ema_: exp_avgs\[2\] is \[3\].*expected \[3, 5\]/,
      );
      refuses(
        { gradients: on.gradients.with(1, torch.zeros([1], { dtype: 'float64' })) },
        /gradients\[1\] is \[1\] Double.*expected \[1\] Float/,
      );
      refuses({ steps: on.steps.with(0, torch.zeros([2])) }, /steps\[0\].*float32 scalar/);
      refuses({}, /betas are 1 and 0.98/, { ...OPTIONS, beta1: 1 });
      refuses({}, /ema_factor is 2/, { ...OPTIONS, emaFactor: 2 });
      refuses({}, /8 steps beside scalars/, { ...OPTIONS, scalars: torch.zeros([4]) });
      refuses({ steps: [] }, /scalars are \[4\] Float/, { ...OPTIONS, scalars: torch.zeros([4]) });
      const spread = torch.zeros([4, 4]).select(1, 0);
      expect(() => emaUpdate([spread], [torch.zeros([4])], 0.5)).toThrow(/not dense/);
      const narrow = torch.zeros([1]);
      expect(() => emaUpdate([narrow], [narrow], 0.5, narrow)).toThrow(/scalar is \[1\] Float/);
      const integers = torch.zeros([2], { dtype: 'int64' });
      expect(() => emaUpdate([integers], [integers], 0.5)).toThrow(/ema_update_.*Long/);
      expect(() => emaUpdate([], [integers], 0.5)).toThrow(/1 students, expected 0/);
      const factor = torch.tensor([1], { dtype: 'float64' });
      expect(emaUpdate([], [], 0.5, factor)).toBeUndefined();
    });
  });

  it('leave the state alone when refused', () => {
    torch.scope(() => {
      const on = lists('float32');
      const before = bytes([...on.steps, ...on.parameters]);
      const teachers = on.teachers.with(3, torch.zeros([9]));
      expect(() => ours({ ...on, teachers })).toThrow(/teachers\[3\]/);
      expect(bytes([...on.steps, ...on.parameters])).toEqual(before);
    });
  });

  it('take the low precisions, computing in float32', () => {
    torch.scope(() => {
      for (const dtype of ['float16', 'bfloat16'] as const) {
        const [teacher, student] = [torch.full([9], 1, { dtype }), torch.full([9], 3, { dtype })];
        emaUpdate([teacher], [student], 0.25);
        expect(teacher.to('float32').toArray()).toEqual(Array(9).fill(2.5));
        const using = { teachers: [], steps: [torch.zeros([])] };
        const [parameters, gradients] = [[torch.ones([9], { dtype })], [student]];
        const expAvgs = [torch.zeros([9], { dtype })];
        const expAvgSqs = [torch.zeros([9], { dtype })];
        ours({ ...using, parameters, gradients, expAvgs, expAvgSqs }, { ...OPTIONS, lr: 0.5 });
        // One step of Adam is lr against the gradient's sign; decay takes 5 % first.
        const expected = torch.full([9], 0.45);
        expect(parameters[0]!.to('float32')).toBeCloseToTensor(expected, { rtol: 1e-2 });
      }
    });
  });
});

describe('AdamW with an average', () => {
  it('moves what it updates in its own pass, and takes nothing else', () => {
    torch.scope(() => {
      const params = [torch.ones([4]), torch.ones([3]), torch.ones([2])].map((p) =>
        p.requiresGrad_(),
      );
      const averages = [torch.zeros([4]), torch.zeros([3])];
      const taken: number[] = [];
      using optimizer = new optim.AdamW(params, { lr: 0.1, weightDecay: 0 });
      params[0]!.grad = torch.ones([4]);
      params[2]!.grad = torch.ones([2]);
      optimizer.step({
        average: {
          factor: 0.5,
          take(parameter) {
            const index = params.indexOf(parameter);
            taken.push(index);
            return averages[index] ?? null;
          },
        },
      });
      expect(taken).toEqual([0, 2]);
      expect(averages[0]).toBeCloseToTensor([0.45, 0.45, 0.45, 0.45]);
      expect(averages[1]!.toArray()).toEqual([0, 0, 0]);
      expect(params[2]!.detach()).toBeCloseToTensor([0.9, 0.9]);
    });
  });
});
