import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { torch } from 'm3l';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));

describe('generated operators', () => {
  it('01 are what the generator gives for this libtorch', ({ skip }) => {
    const { stdout, status } = spawnSync(
      process.execPath,
      ['scripts/generate/main.mjs', '--check'],
      { cwd: root, encoding: 'utf8' },
    );
    if (stdout.startsWith('skipped')) {
      console.log(stdout.trim());
      skip(stdout.trim());
    }
    expect([status, stdout]).toEqual([0, expect.stringMatching(/up to date/)]);
  });

  it('02 cover nearly all public names', () => {
    const page = readFileSync(`${root}docs/operators.md`, 'utf8');
    const [, percent] = /\((\d+\.\d) %\)/.exec(page)!;
    expect(Number(percent)).toBeGreaterThan(99);
  });

  const declared = readFileSync(`${root}lib/torch/generated/functions.d.ts`, 'utf8');

  it('03 every method of the interface is on the prototype', () => {
    const names = new Set([...declared.matchAll(/^ {2}(\w+)\(/gm)].map(([, name]) => name!));
    expect(names.size).toBeGreaterThan(700);
    const prototype = torch.Tensor.prototype as unknown as Record<string, unknown>;
    expect([...names].filter((name) => typeof prototype[name] !== 'function')).toEqual([]);
  });

  it('04 every function resolves its overloads', () => {
    const source = readFileSync(`${root}lib/torch/generated/functions.js`, 'utf8');
    const names = [...source.matchAll(/operator\('(\w+)'/g)].map(([, name]) => name!);
    expect(names.length).toBeGreaterThan(900);
    for (const name of names) expect(typeof torch.ops.aten![name]).toBe('function');
  });

  it('05 what is declared is there', () => {
    const names = new Set(
      [...declared.matchAll(/^(?:export )?declare function (\w+)\(/gm)].map(([, name]) => name!),
    );
    expect(names.size).toBeGreaterThan(950);
    const functions = torch as unknown as Record<string, unknown>;
    const missing = [...names].filter(
      (name) => typeof functions[name.replace(/Operator$/, '')] !== 'function',
    );
    expect(missing).toEqual([]);
  });
});
