import { Worker } from 'node:worker_threads';
import { torch } from 'm3l';
import { describe, expect, it } from 'vitest';

const library = new URL('../../dist/index.js', import.meta.url).href;

function inWorker(source: string): Promise<unknown> {
  const code = `
    import { parentPort } from 'node:worker_threads';
    import { torch } from ${JSON.stringify(library)};
    ${source}`;
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`));
    worker.once('message', resolve);
    worker.once('error', reject);
  });
}

describe('worker threads', () => {
  it('01 compute beside the main thread, with tensors of their own', () =>
    torch.scope(async () => {
      const source = (n: number) => `
        const sum = torch.scope(() => torch.arange(${n}).sum().item());
        const grad = torch.scope(() => {
          const x = torch.tensor([${n}], { requiresGrad: true });
          x.mul(x).backward();
          return x.grad.item();
        });
        parentPort.postMessage({ sum, grad, tensors: torch.memory().tensors });`;
      const before = torch.memory().tensors;
      const work = [10, 100, 1000].map((n) => inWorker(source(n)));
      for (let i = 0; i < 50; i++)
        torch.scope(() => torch.ones([64, 64]).matmul(torch.ones([64, 64])));
      expect(await Promise.all(work)).toEqual([
        { sum: 45, grad: 20, tensors: 0 },
        { sum: 4950, grad: 200, tensors: 0 },
        { sum: 499500, grad: 2000, tensors: 0 },
      ]);
      expect(torch.memory().tensors).toBe(before + 50);
    }));

  it('02 a worker that leaves with live tensors and errors harms nobody', async () => {
    const source = `
      const kept = torch.ones([1000]);
      torch.scope();
      let code = '';
      try { kept.add(torch.ones([7])); } catch (error) { code = error.code; }
      parentPort.postMessage(code);`;
    expect(await inWorker(source)).toBe('M3L_TORCH');
    torch.scope(() => expect(torch.ones([2]).sum().item()).toBe(2));
  });

  it('03 a handle of one thread is nothing in another', async () => {
    const x = torch.ones([1]);
    const source = `
      let code = '';
      try { new torch.Tensor(${x.handle}).toArray(); } catch (error) { code = error.code; }
      parentPort.postMessage(code);`;
    expect(await inWorker(source)).toMatch(/^M3L_/);
    x.dispose();
  });
});
