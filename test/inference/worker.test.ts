import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { nn, torch } from 'm3l';
import { inWorker, type WorkerModel } from 'm3l/inference';
import { afterEach, describe, expect, it } from 'vitest';

const module = new URL('../fixtures/worker-models/net.mjs', import.meta.url);

type Tensor = torch.Tensor;

interface Net {
  forward(x: Tensor): Tensor;
  facts(): { training: boolean; grad: boolean; tensors: number };
}

interface Odd {
  forward(value: unknown): unknown;
  slow(x: Tensor, times: number): Tensor;
  wait(x: Tensor): Tensor;
  late(x: Tensor): { list: Tensor[]; map: Map<string, Tensor>; set: Set<Tensor> };
  write(x: Tensor): Tensor;
  coded(): Tensor;
  plain(): void;
  unsendable(x: Tensor): unknown;
  disposed(x: Tensor): unknown;
  crash(x: Tensor): void;
  leave(): void;
  memory(): number;
}

/** Turns of the event loop until `done`. */
async function turnsUntil(done: Promise<unknown>): Promise<number> {
  let [turns, running] = [0, true];
  const turn = () => {
    turns += 1;
    if (running) setImmediate(turn);
  };
  setImmediate(turn);
  await done;
  running = false;
  return turns;
}

/** A model that waits in its call, until `open` is called. */
async function gated(): Promise<{
  model: WorkerModel<Odd>;
  entered: () => Promise<void>;
  open: () => void;
}> {
  const gate = new SharedArrayBuffer(8);
  const words = new Int32Array(gate);
  const model = await inWorker<Odd>(module, { factory: 'odd', data: { gate } });
  const entered = async () => {
    while (Atomics.load(words, 0) === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    Atomics.store(words, 0, 0);
  };
  const open = () => {
    Atomics.store(words, 1, 1);
    Atomics.notify(words, 1);
  };
  return { model, entered, open };
}

afterEach(() => expect(torch.memory().shared, 'tensors that nobody received').toBe(0));

describe('a model in a worker', () => {
  it('01 gives what it gives here, by weights that are not copied', async () => {
    await torch.scope(async () => {
      using net = new nn.Linear(3, 2);
      const state = Object.fromEntries(
        Object.entries(net.stateDict()).map(([name, value]) => [`body.${name}`, value]),
      );
      await using there = await inWorker<Net>(module, { data: { state } });
      const x = torch.randn([4, 3]);
      expect(await there.forward(x)).toBeCloseToTensor(net.forward(x));
      torch.noGrad(() => net.weight.fill_(1));
      torch.noGrad(() => net.bias!.fill_(0));
      const sums = x.sum(1, true).expand([4, 2]);
      expect(await there.forward(x)).toBeCloseToTensor(sums);
      expect((await there.forward(x)).requiresGrad).toBe(false);
      const facts = await there.call('facts', []);
      expect(facts).toMatchObject({ training: false, grad: false });
      expect(await there.call('facts', [])).toEqual(facts);
    });
  });

  it('02 lets the event loop turn while it computes', async () => {
    const x = torch.detached(() => torch.randn([400, 400]).div(400));
    await torch.scope(async () => {
      await using model = await inWorker<Odd>(module, { factory: 'odd' });
      const blocked = turnsUntil(
        Promise.resolve().then(() => {
          let y = x;
          for (let i = 0; i < 25; i++) y = torch.scope(() => y.matmul(x).tanh());
        }),
      );
      expect(await blocked).toBeLessThan(3);
      expect(await turnsUntil(model.call('slow', [x, 25]))).toBeGreaterThan(20);
    });
    x.dispose();
  });

  it('03 takes tensors wherever they are, and gives the same memory', async () => {
    await torch.scope(async () => {
      await using model = await inWorker<Odd>(module, { factory: 'odd' });
      const x = torch.tensor([1, 2]);
      const { list, map, set } = await model.call('late', [x]);
      expect(list.map((each) => each.toArray())).toEqual([
        [2, 3],
        [1, 2],
      ]);
      expect(map.get('twice')!.toArray()).toEqual([2, 4]);
      expect([...set]).toEqual([list[1]]);
      expect((await model.call('write', [x])).sameStorage(x)).toBe(true);
      expect(x.toArray()).toEqual([7, 7]);
      const loop: Record<string, unknown> = { x, text: 'a' };
      loop.self = loop;
      const back = (await model.forward(loop)) as typeof loop;
      expect(back.self).toBe(back);
      expect((back.x as Tensor).sameStorage(x)).toBe(true);
      expect(await model.call('memory', [])).toBe(await model.call('memory', []));
    });
  });

  it('04 answers in order, of tensors as they were when it was asked', async () => {
    const { model, entered, open } = await gated();
    const asked = torch.scope(() => {
      const first = model.call('wait', [torch.tensor([1])]);
      return [first, ...[2, 3].map((n) => model.call('late', [torch.tensor([n])]))] as const;
    });
    await entered();
    open();
    const [first, second, third] = (await Promise.all(asked)) as [Tensor, never, never];
    const lists = [second, third].map(({ list }) => (list[0] as Tensor).item());
    expect([first.item(), ...lists]).toEqual([2, 3, 4]);
    torch.dispose([first, second, third]);
    await model.close();
  });

  it('05 gives errors back with their code and message, and goes on', async () => {
    await torch.scope(async () => {
      await using model = await inWorker<Odd>(module, { factory: 'odd' });
      const x = torch.ones([1]);
      await expect(model.call('coded', [])).rejects.toMatchObject({
        code: 'M3L_TORCH',
        message: expect.stringMatching(/size of tensor a \(2\)/),
        stack: expect.stringContaining('net.mjs'),
      });
      await expect(model.call('plain', [])).rejects.toThrow('out of my range');
      const unsendable = { code: 'M3L_ARGUMENT', message: /result cannot be sent: .*1/ };
      await expect(model.call('unsendable', [x])).rejects.toMatchObject({
        ...unsendable,
        message: expect.stringMatching(unsendable.message),
      });
      await expect(model.call('disposed', [x])).rejects.toMatchObject({ code: 'M3L_DISPOSED' });
      await expect(model.call('none' as never, [] as never)).rejects.toThrow(/no method 'none'/);
      await expect(model.forward([x, () => 1])).rejects.toThrow(/argument cannot be sent/);
      let deep: unknown = x;
      for (let i = 0; i < 2000; i++) deep = [deep];
      await expect(model.forward(deep)).rejects.toMatchObject({ code: 'M3L_ARGUMENT' });
      expect(await model.forward('on')).toBe('on');
    });
  });

  it('06 says what is wrong with a module or its function', async () => {
    const refused: [unknown, object, RegExp][] = [
      [module, { factory: 'absent' }, /found undefined as the export 'absent'/],
      [module, { factory: 'refuse' }, /negative/],
      [module, { factory: 'nothing' }, /expected a module, or an object with a method `forward`/],
      [new URL('./absent.mjs', module), {}, /absent\.mjs/],
      ['net.mjs', {}, /expected the URL of a module/],
      [undefined, {}, /found undefined, expected the URL/],
      [module, { data: () => 1 }, /cannot be sent/],
      [module, { typo: 1 }, /found the option 'typo'/],
    ];
    for (const [url, options, message] of refused) {
      await expect(inWorker(url as never, options as never)).rejects.toThrow(message);
    }
  });
});

describe('where either side ends', () => {
  it('07 a close rejects what is asked, and leaves nothing', async () => {
    const { model, entered, open } = await gated();
    const before = torch.memory().tensors;
    const asked = torch.scope(() => {
      const x = torch.ones([3]);
      return [1, 2, 3].map(() => model.call('wait', [x]));
    });
    const settled = Promise.allSettled(asked);
    await entered();
    const closing = model.close();
    for (const each of await settled) {
      expect(each).toMatchObject({ status: 'rejected', reason: { code: 'M3L_WORKER_CLOSED' } });
    }
    open();
    await closing;
    expect(torch.memory().tensors).toBe(before);
    await expect(model.forward(1)).rejects.toMatchObject({ code: 'M3L_WORKER_CLOSED' });
    await model.close();
  });

  it.each(['crash', 'leave'] as const)('08 a thread that ends (%s) rejects them', async (how) => {
    const model = await inWorker<Odd>(module, { factory: 'odd' });
    await torch.scope(async () => {
      const x = torch.ones([3]);
      const asked = [model.call(how, [x]), model.call('late', [x])];
      for (const each of await Promise.allSettled(asked)) {
        expect(each).toMatchObject({ status: 'rejected', reason: { code: 'M3L_WORKER_DIED' } });
      }
      await expect(model.forward(x)).rejects.toThrow(/a bug of its own|exit code 3/);
    });
    await model.close();
  });

  it('09 the asking side that is terminated leaves nothing', async () => {
    const gate = new SharedArrayBuffer(8);
    const source = `
      const { torch } = await import(${JSON.stringify(new URL('../../dist/index.js', import.meta.url))});
      const { inWorker } = await import(${JSON.stringify(new URL('../../dist/inference/index.js', import.meta.url))});
      const { workerData: gate } = await import('node:worker_threads');
      const model = await inWorker(${JSON.stringify(module)}, { factory: 'odd', data: { gate } });
      const x = torch.ones([3]);
      for (let i = 0; i < 3; i++) model.call('wait', [x]);`;
    const asking = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`), {
      workerData: gate,
    });
    const words = new Int32Array(gate);
    while (Atomics.load(words, 0) === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    const ended = once(asking, 'exit');
    void asking.terminate();
    Atomics.store(words, 1, 1);
    Atomics.notify(words, 1);
    await ended;
    expect(torch.memory().shared).toBe(0);
  });

  it('10 a signal takes a call back, begun or not', async () => {
    const { model, entered, open } = await gated();
    const before = torch.memory().tensors;
    await torch.scope(async () => {
      const x = torch.ones([1]);
      const [begun, waits] = [new AbortController(), new AbortController()];
      const asked = [begun, waits].map(({ signal }) => model.call('wait', [x], { signal }));
      await entered();
      waits.abort();
      begun.abort(new Error('no longer'));
      await expect(asked[0]).rejects.toThrow('no longer');
      await expect(asked[1]).rejects.toMatchObject({ name: 'AbortError' });
      await expect(model.call('wait', [x], { signal: begun.signal })).rejects.toThrow('no longer');
      open();
      expect(((await model.forward(x)) as Tensor).sameStorage(x)).toBe(true);
    });
    expect(torch.memory().tensors).toBe(before);
    await model.close();
  });
});
