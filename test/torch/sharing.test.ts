import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { torch } from 'm3l';
import { describe, expect, it } from 'vitest';

const dist = new URL('../../dist/index.js', import.meta.url).href;

/** Runs `program` in a thread; it has `torch`, `parentPort` and what is sent as `data`. */
function thread(program: string, workerData: unknown): Worker {
  const source = `
    import { parentPort, workerData as data } from 'node:worker_threads';
    const { torch } = await import(${JSON.stringify(dist)});
    ${program}`;
  return new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`), { workerData });
}

describe('a tensor that is shared', () => {
  it('01 is the same memory in another thread, and stays when that ends', async () => {
    const mine = torch.detached(() => torch.tensor([1, 2]));
    const worker = thread(
      `const theirs = torch.receive(data);
       theirs.add_(10);
       parentPort.postMessage(torch.tensor([7]).share());`,
      mine.share(),
    );
    const [shared] = (await once(worker, 'message')) as [torch.SharedTensor];
    await once(worker, 'exit');
    expect(mine.toArray()).toEqual([11, 12]);
    mine.dispose();
    const theirs = torch.receive(shared);
    expect(theirs.toArray()).toEqual([7]);
    theirs.dispose();
    expect(torch.memory().shared).toBe(0);
  });

  it('02 outlives the one that shared it, and has no graph', () => {
    torch.scope(() => {
      const shared = torch.scope(() => torch.ones([3]).requiresGrad_().mul(2).share());
      expect(torch.memory().shared).toBe(1);
      const received = torch.receive(shared);
      expect([received.toArray(), received.requiresGrad]).toEqual([[2, 2, 2], false]);
    });
  });

  it('03 is received once, and nothing else is', () => {
    torch.scope(() => {
      const shared = torch.ones([1]).share();
      torch.receive(shared);
      expect(() => torch.receive(shared)).toThrow(/M3L_SHARED|received already/);
      expect(() => torch.receive({ sharedTensor: 2 ** 52 })).toThrow(/not under way/);
      for (const wrong of [null, undefined, {}, { sharedTensor: -0.5 }, 'x']) {
        expect(() => torch.receive(wrong as never)).toThrow(/expected what tensor\.share\(\) gave/);
      }
    });
  });
});
