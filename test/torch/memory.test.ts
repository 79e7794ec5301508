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
    ['--input-type=module', '-e', script],
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
});
