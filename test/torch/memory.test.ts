import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { torch } from 'm3l';
import { describe, expect, it } from 'vitest';

const library = new URL('../../dist/torch/index.js', import.meta.url).href;

/** Runs a module in a process of its own and gives the JSON that it prints. */
function child(source: string): Record<string, number> {
  const script = `import * as torch from ${JSON.stringify(library)};\n${source}`;
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    ['--expose-gc', '--input-type=module', '-e', script],
    { encoding: 'utf8', cwd: fileURLToPath(new URL('../../', import.meta.url)) },
  );
  expect([status, stderr]).toEqual([0, '']);
  return JSON.parse(stdout);
}

describe('memory', () => {
  it('01 counts tensors and bytes, each storage once', () =>
    torch.scope(() => {
      const before = torch.memory();
      const x = torch.zeros([1000]);
      x.reshape([10, 100]);
      const after = torch.memory();
      expect(after.tensors - before.tensors).toBe(2);
      expect(after.bytes - before.bytes).toBe(4000);
      x.dispose();
      x.dispose();
      expect(torch.memory().tensors - before.tensors).toBe(1);
    }));

  it('02 2,000 temporaries of 1 MiB in a synchronous loop without a scope stay below 500 MB', () => {
    const { grown } = child(`
      const start = process.memoryUsage().rss;
      const x = torch.ones([262144]);
      for (let i = 0; i < 2000; i++) x.add(i);
      const peak = process.resourceUsage().maxRSS * 1024;
      console.log(JSON.stringify({ grown: (peak - start) / 1e6 }));
    `);
    expect(grown).toBeLessThan(500);
  });

  it('03 small unscoped temporaries are released too', () => {
    const { most } = child(`
      const x = torch.ones([4]);
      let most = 0;
      for (let i = 0; i < 600000; i++) {
        x.add(1);
        if (i % 10000 === 9999) most = Math.max(most, torch.memory().tensors);
      }
      console.log(JSON.stringify({ most }));
    `);
    // V8 collects young objects once some 16 MB of them were made: every 200,000 to 250,000 calls.
    expect(most).toBeLessThan(400_000);
  });

  it('04 a long run of scopes ends where it began', () => {
    const { tensors, scopes, grown } = child(`
      const x = torch.detached(() => torch.ones([1000]));
      const step = () => torch.scope(() => { let y = x; for (let i = 0; i < 20; i++) y = y.add(1); return y.sum().item(); });
      for (let i = 0; i < 500; i++) step();
      const start = process.memoryUsage().rss;
      for (let i = 0; i < 5000; i++) step();
      const { tensors, scopes } = torch.memory();
      console.log(JSON.stringify({ tensors, scopes, grown: (process.memoryUsage().rss - start) / 1e6 }));
    `);
    expect([tensors, scopes]).toEqual([1, 0]);
    expect(grown).toBeLessThan(60);
  });

  it('05 what large tensors leave joins, though small ones made between them stay', () => {
    const { grown } = child(`
      const MB = 2 ** 20;
      const megabytes = (n) => torch.ones([n * MB / 4]);
      const large = [], small = [];
      for (let i = 0; i < 50; i++) { large.push(megabytes(8)); small.push(torch.ones([8])); }
      torch.dispose(large);
      const start = process.memoryUsage().rss;
      const joined = megabytes(400);
      console.log(JSON.stringify({ grown: (process.memoryUsage().rss - start) / MB + 0 * small.length }));
      joined.dispose();
    `);
    expect(grown).toBeLessThan(100);
  });

  it('06 blocks taken and given back in any order keep their values', () => {
    const generator = new torch.Generator().manualSeed(1);
    torch.scope(() => {
      const draws = torch.rand([1000, 2], { generator }).toArray() as [number, number][];
      const held = new Map<number, torch.Tensor>();
      for (const [i, [size, victim]] of draws.entries()) {
        // Below, at and far above the size from which blocks are not the heap's.
        const count = Math.floor(2 ** (10 + 9 * size));
        held.set(i, torch.full([count], i));
        if (held.size < 30) continue;
        const key = [...held.keys()][Math.floor(victim * held.size)]!;
        const tensor = held.get(key)!;
        expect([tensor.min().item(), tensor.max().item()]).toEqual([key, key]);
        tensor.dispose();
        held.delete(key);
      }
    });
  });

  it('07 says what cannot be had, and goes on', () => {
    expect(() => torch.empty([2 ** 50])).toThrow(/can't allocate memory/);
    torch.scope(() =>
      expect(
        torch
          .ones([2 ** 20])
          .sum()
          .item(),
      ).toBe(2 ** 20),
    );
  });

  it('08 threads and versions', () => {
    const count = torch.getNumThreads();
    torch.setNumThreads(1);
    expect(torch.getNumThreads()).toBe(1);
    torch.setNumThreads(count);
    expect(torch.version()).toMatch(/^\d+\.\d+/);
    expect(torch.available()).toBe(true);
    expect(typeof torch.cuda.isAvailable()).toBe('boolean');
  });

  it('09 dropped results with gradients are released as those without', () => {
    const { grown, left } = child(`
      const w = torch.ones([262144]);
      w.requiresGrad = true;
      const start = process.memoryUsage().rss;
      for (let i = 0; i < 1500; i++) w.exp();
      const peak = process.resourceUsage().maxRSS * 1024;
      gc();
      torch.sweep();
      const left = torch.memory().allocatedByDevice.cpu;
      console.log(JSON.stringify({ grown: (peak - start) / 2 ** 20, left: left / 2 ** 20 }));
    `);
    expect(grown).toBeLessThan(400);
    expect(left).toBeLessThan(2);
  });

  it('10 a loss does not outlive its object, nor its graph, beside small tensors that are kept', () => {
    const { left, kept } = child(`
      const w = torch.ones([2 ** 20]);
      w.requiresGrad = true;
      const kept = [];
      const step = () => { w.exp().sum(); };
      for (let i = 0; i < 60; i++) {
        step();
        kept.push(torch.ones([1]));
      }
      gc();
      torch.sweep();
      const left = torch.memory().allocatedByDevice.cpu / 2 ** 20;
      console.log(JSON.stringify({ left, kept: kept.length }));
    `);
    expect(left).toBeLessThan(4 + 1);
    expect(kept).toBe(60);
  });

  it('11 nor where an operator has written the graph into a small tensor', () => {
    const { held, left } = child(`
      const { add_ } = torch.ops.aten;
      const w = torch.ones([2 ** 20]);
      w.requiresGrad = true;
      const kept = [];
      const totals = async () => {
        const total = [torch.zeros([]), torch.zeros([]), torch.zeros([])];
        kept.push(torch.ones([1]));
        total[0].add_(w.exp().sum());
        add_(total[1], w.exp().sum());
        await add_.async(total[2], w.exp().sum());
        gc();
        torch.sweep();
        return [torch.memory().allocatedByDevice.cpu, total.map((t) => t.item())];
      };
      const [held] = await totals();
      await new Promise((done) => setTimeout(done, 10));
      gc();
      torch.sweep();
      const left = torch.memory().allocatedByDevice.cpu;
      console.log(JSON.stringify({ held: held / 2 ** 20, left: left / 2 ** 20, kept: kept.length }));
    `);
    expect(held).toBeGreaterThan(4 + 3 * 4);
    expect(left).toBeLessThan(4 + 1);
  });

  it('12 after a collection a dropped tensor goes with the next few operators, or with none', () => {
    const { before, operators, idle } = child(`
      const allocated = () => torch.memory().allocatedByDevice.cpu / 2 ** 20;
      const drop = () => { torch.empty([2 ** 27]); };
      const small = torch.ones([1]);
      drop();
      const before = allocated();
      gc();
      for (let i = 0; i < 40; i++) small.add(1);
      const operators = allocated();
      drop();
      gc();
      await new Promise((done) => setTimeout(done, 100));
      console.log(JSON.stringify({ before, operators, idle: allocated() }));
    `);
    expect(before).toBeGreaterThan(512);
    expect(operators).toBeLessThan(1);
    expect(idle).toBeLessThan(1);
  });

  it('13 what a graph holds is counted, and goes with it', () =>
    torch.scope(() => {
      const { cpu } = torch.memory().allocatedByDevice;
      const allocated = () => torch.memory().allocatedByDevice.cpu! - cpu!;
      const w = torch.ones([2 ** 18]);
      w.requiresGrad = true;
      const loss = torch.scope(() => w.exp().exp().exp().sum());
      expect(allocated()).toBeGreaterThan(4 * 2 ** 20);
      loss.backward();
      expect(allocated()).toBeLessThan(2.1 * 2 ** 20);
    }));

  it('14 pages that were freed before a block in use go back to the system', () => {
    const { peak, left } = child(`
      const first = torch.ones([1]);
      const start = process.memoryUsage().rss;
      const grown = () => (process.memoryUsage().rss - start) / 2 ** 20;
      const large = Array.from({ length: 12 }, () => torch.ones([25 * 2 ** 20]));
      const last = torch.ones([2 ** 15]);
      const peak = grown();
      torch.dispose(large);
      console.log(JSON.stringify({ peak, left: grown(), last: last.numel() + first.numel() }));
    `);
    expect(peak).toBeGreaterThan(1150);
    expect(left).toBeLessThan(600);
  });
});
