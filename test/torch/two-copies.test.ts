import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../data/fixtures.js';

const root = resolve(import.meta.dirname, '../..');
const folder = temporaryFolder();
const natives = process.env.M3L_ADDON_DIR ?? join(root, 'build/native');

/** A copy of the package as another package's node_modules may hold one; its native files with it. */
function copyOf(name: string): { dist: string; natives: string } {
  const copy = join(folder, name);
  mkdirSync(copy, { recursive: true });
  cpSync(join(root, 'dist'), join(copy, 'dist'), { recursive: true });
  cpSync(join(root, 'package.json'), join(copy, 'package.json'));
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
  cpSync(natives, join(copy, 'native'), { recursive: true });
  return { dist: pathToFileURL(join(copy, 'dist/')).href, natives: join(copy, 'native') };
}

const one = copyOf('one');
const two = copyOf('two');

/** `open(copy)` and `train(opened)` in a program. */
const prelude = `
  import { Worker } from 'node:worker_threads';
  const open = async ({ dist, natives }) => {
    process.env.M3L_ADDON_DIR = natives;
    const copy = await import(dist + 'index.js');
    copy.torch.memory();
    return copy;
  };
  /** The loss of a small network after some steps; its tensors are large enough for their own memory. */
  const train = ({ torch, nn, optim }) => {
    torch.manualSeed(7);
    return torch.scope(() => {
      const model = new nn.Sequential(new nn.Linear(256, 512), new nn.GELU(), new nn.Linear(512, 1));
      const optimizer = new optim.AdamW(model.parameters(), { lr: 0.01 });
      const input = torch.randn([64, 256]);
      const target = input.sum(1, { keepdim: true });
      let loss = 0;
      for (let step = 0; step < 20; step++) {
        loss = torch.scope(() => {
          const error = model.forward(input).sub(target).square().mean();
          optimizer.zeroGrad();
          error.backward();
          optimizer.step();
          return error.item();
        });
      }
      return loss;
    });
  };
  const one = ${JSON.stringify(one)};
  const two = ${JSON.stringify(two)};`;

/** What a program prints as JSON. It is a process of its own: two copies once ended theirs. */
function run(program: string): unknown {
  const file = join(folder, `${Math.random().toString(36).slice(2)}.mjs`);
  writeFileSync(file, prelude + program);
  const { stdout, stderr, signal } = spawnSync(process.execPath, [file], { encoding: 'utf8' });
  expect(stdout, `${signal} ${stderr}`).not.toBe('');
  return JSON.parse(stdout);
}

describe('two copies of the package in one process', () => {
  it('01 compute and train beside each other, in the main thread', () => {
    const result = run(`
      const first = await open(one);
      const alone = train(first);
      const second = await open(two);
      const losses = [alone, train(second), train(first)];
      const nested = first.torch.scope(() => {
        const x = first.torch.ones([2]);
        const inner = second.torch.scope(() => second.torch.ones([3]).sum().item());
        return [inner, x.add(first.torch.ones([2])).sum().item()];
      });
      const kept = first.torch.scope(() => second.torch.ones([5]));
      const codes = [];
      for (const [a, b] of [[first, second], [second, first]]) {
        try { a.torch.ones([1]).add(b.torch.ones([1])); } catch (error) {
          codes.push(error.code, /found a Tensor of another copy/.test(error.message));
        }
        try { a.torch.ones([2]).add(a.torch.ones([3])); } catch (error) {
          codes.push(error instanceof a.torch.M3lError ? error.code : String(error));
        }
      }
      console.log(JSON.stringify({ losses, nested, kept: kept.sum().item(), codes }));`) as {
      losses: number[];
    };
    expect(result).toEqual({
      losses: [result.losses[0], result.losses[0], result.losses[0]],
      nested: [3, 4],
      kept: 5,
      codes: ['M3L_ARGUMENT', true, 'M3L_TORCH', 'M3L_ARGUMENT', true, 'M3L_TORCH'],
    });
    expect(result.losses[0]).toBeLessThan(200);
  });

  it('02 share native files without sharing tensors', () => {
    const program = `
      const first = await open(one);
      const second = await open({ ...two, natives: one.natives });
      const kept = first.torch.scope(() => second.torch.ones([100_000]));
      const counts = [first.torch.memory().tensors, second.torch.memory().tensors];
      let code = '';
      try { first.torch.ones([2]).add(first.torch.ones([3])); } catch (error) {
        code = error instanceof first.torch.M3lError ? error.code : String(error);
      }
      console.log(JSON.stringify([kept.sum().item(), counts, code]));`;
    expect(run(program)).toEqual([100_000, [0, 1], 'M3L_TORCH']);
  });

  it('03 work in a worker each, opened at once, and after it has ended', () => {
    const program = `
      const work = (copy) => new Promise((resolve, reject) => {
        const source = [${JSON.stringify(prelude)}, \`
          import { parentPort } from 'node:worker_threads';
          parentPort.postMessage(train(await open(\${JSON.stringify(copy)})));\`].join('\\n');
        const worker = new Worker(new URL('data:text/javascript,' + encodeURIComponent(source)));
        let loss;
        worker.on('message', (message) => { loss = message; });
        worker.on('error', reject);
        worker.on('exit', () => resolve(loss));
      });
      const losses = await Promise.all([work(one), work(two)]);
      losses.push(train(await open(one)), train(await open(two)));
      console.log(JSON.stringify(losses));`;
    const losses = run(program) as number[];
    // The workers drew from libtorch's one generator at once: their numbers are not for comparison.
    for (const loss of losses) expect(loss).toBeLessThan(50);
    expect(losses[2]).toBe(losses[3]);
    expect(losses).toHaveLength(4);
  });
});
