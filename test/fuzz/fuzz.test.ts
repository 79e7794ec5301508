import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const script = fileURLToPath(new URL('../../scripts/fuzz.mjs', import.meta.url));
let out: string;

beforeAll(() => {
  out = mkdtempSync(join(tmpdir(), 'm3l-fuzz-test-'));
});

afterAll(() => rmSync(out, { recursive: true, force: true }));

function fuzz(...args: string[]) {
  const all = [script, '--json', '--out', out, ...args];
  const { stdout, stderr, status } = spawnSync(process.execPath, all, {
    encoding: 'utf8',
    env: { ...process.env, NODE_OPTIONS: '', OMP_NUM_THREADS: '1' },
  });
  return { status, stderr, ...JSON.parse(stdout || '{}') };
}

describe('hostile files', () => {
  it('01 are read or refused by code: no error without one, hang, death or hunger', () => {
    const { status, stderr, targets } = fuzz('--seed', '16', '--cases', '15');
    expect(targets, stderr).toHaveLength(18);
    expect(
      targets.flatMap((target: { failures: unknown[] }) => target.failures),
      stderr,
    ).toEqual([]);
    expect(status).toBe(0);
  }, 900_000);

  it('02 are told apart from failures, which are kept', () => {
    const { status, targets } = fuzz('--target', 'faulty', '--cases', '4');
    expect(status).toBe(1);
    const [{ failures }] = targets;
    expect(failures.map(({ failure }: { failure: string }) => failure.split('\n')[0])).toEqual([
      expect.stringMatching(/^TypeError/),
      expect.stringMatching(/^the process died: SIGKILL/),
      expect.stringMatching(/^no answer after \d/),
      // On a busy machine the memory may take the time first.
      expect.stringMatching(/^(it took \d+ MB|no answer after \d)/),
    ]);
    expect(readdirSync(out).filter((name) => name.startsWith('faulty'))).toHaveLength(4);
  }, 900_000);

  // A thousandth of what the readers of tensors were tried with: --cases 100000 for all of it.
  it('03 of tensors', () => {
    const readers = 'safetensors,pth,legacy,npz,npz-packed,npy-tensor';
    const { status, stderr, targets } = fuzz('--target', readers, '--cases', '100');
    expect(
      targets.flatMap((target: { failures: unknown[] }) => target.failures),
      stderr,
    ).toEqual([]);
    expect(status).toBe(0);
  }, 900_000);
});
