import { fileURLToPath } from 'node:url';
import { torch } from 'm3l';
import { describe, expect, it } from 'vitest';

// Written by scripts/golden/script.py.
const file = fileURLToPath(new URL('../fixtures/program.pt', import.meta.url));
const relu = fileURLToPath(new URL('../fixtures/torch-files/script.pt', import.meta.url));

describe('TorchScript', () => {
  it('01 runs, in evaluation mode and in training, with gradients', () =>
    torch.scope(() => {
      const program = torch.loadScript(file).eval();
      expect(program.methods).toEqual(expect.arrayContaining(['forward', 'parts', 'fails']));
      const x = torch.tensor([[1, 2]]).requiresGrad_();
      const y = program.forward(x) as torch.Tensor;
      expect(y.toArray()).toEqual([[12.5, 18.25, 24.125]]);
      y.sum().backward();
      expect(x.grad!.toArray()).toEqual([[6, 9]]);
      expect(program.stateDict()['linear.weight']!.grad!.toArray()).toEqual([
        [1, 2],
        [1, 2],
        [1, 2],
      ]);
      const some = torch.ones([1000, 2]);
      const dropped = program.train().forward(some) as torch.Tensor;
      expect(dropped.eq(0).to('float32').mean().item()).toBeGreaterThan(0.4);
    }));

  it('02 takes and gives lists, dictionaries, defaults and null', () =>
    torch.scope(() => {
      const program = torch.loadScript(file);
      const xs = [torch.tensor([1, 2]), torch.tensor([3])];
      const [tensors, count, names] = program.call('parts', xs) as [
        Map<string, torch.Tensor>,
        number,
        string[],
      ];
      expect(tensors.get('total')!.toArray()).toEqual([12]);
      expect(tensors.get('first')!.toArray()).toEqual([1, 2]);
      expect([count, names]).toEqual([2, ['none']]);
      const [scaled, , [name]] = program.call('parts', xs, 0.5, 'mine') as [
        Map<string, torch.Tensor>,
        number,
        [string],
      ];
      expect([scaled.get('total')!.item(), name]).toEqual([3, 'mine']);
    }));

  it('03 its state is its own: writing it changes what it computes', () =>
    torch.scope(() => {
      const program = torch.loadScript(file).eval();
      const state = program.stateDict();
      expect(Object.keys(state)).toEqual(['linear.weight', 'linear.bias', 'offset']);
      torch.noGrad(() => state.offset!.fill_(0));
      const y = program.to('cpu').forward(torch.tensor([[1, 2]])) as torch.Tensor;
      expect(y.toArray()).toEqual([[2.5, 8.25, 14.125]]);
    }));

  it('04 runs on another thread, into the scope that awaits it', async () => {
    const before = torch.memory().tensors;
    await torch.scope(async () => {
      const program = torch.loadScript(relu);
      const [y, z] = (await Promise.all([
        program.forwardAsync(torch.tensor([-1, 2])),
        program.forwardAsync(torch.tensor([3, -4])),
      ])) as torch.Tensor[];
      expect([y!.toArray(), z!.toArray()]).toEqual([
        [0, 2],
        [3, 0],
      ]);
      await expect(torch.loadScript(file).callAsync('fails', y!)).rejects.toThrow(/only nothing/);
    });
    expect(torch.memory().tensors).toBe(before);
  });

  it('05 mistakes are sentences', () =>
    torch.scope(() => {
      const program = torch.loadScript(file);
      const x = torch.ones([1]);
      expect(() => program.call('backward')).toThrow(/no method 'backward'; it has .*forward/);
      expect(() => program.forward()).toThrow(/'x': expected Tensor, found undefined/);
      expect(() => program.forward(x, x)).toThrow(/found 2 arguments, expected 1 at most/);
      expect(() => program.forward('x')).toThrow(/'x': expected Tensor, found string 'x'/);
      expect(() => program.call('fails', x)).toThrow(/only nothing will do/);
      expect(() => program.call(3 as never)).toThrow(/expected the name of a method/);
      for (const other of [fileURLToPath(import.meta.url), 'nowhere.pt', '/']) {
        expect(() => torch.loadScript(other)).toThrow(
          expect.objectContaining({ code: 'M3L_TORCHSCRIPT' }),
        );
      }
      expect(() => torch.loadScript(3 as never)).toThrow(/expected a path/);
    }));
});
