import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { torch } from 'm3l';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { m3l, type Outcome } from './m3l.js';
import { expectAsAlone, trainAlone } from './shared-training.js';

// One tiny training in one process, and in two that are let be, stopped, killed and misled.

const DIE_AT = new URL('die-at.mjs', import.meta.url).href;
let folder: string;
let config: string;
let alone: Outcome;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'm3l-processes-'));
  ({ config, alone } = await trainAlone(folder));
}, 300_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const run = (name: string) => join(folder, name);
const together = (name: string, ...more: string[]) =>
  ['train', config, '--nproc', '2', '--out', run(name), '--no-check', '--json', ...more] as const;

/** Calls back once, with the launcher, when so many steps are told of or more. */
function onceAfter(steps: number, act: (child: ChildProcess) => void) {
  let done = false;
  return (text: string, child: ChildProcess) => {
    const told = [...text.matchAll(/m3l +(\d+)\/6 /g)].map(([, step]) => Number(step));
    if (done || Math.max(0, ...told) < steps) return;
    done = true;
    act(child);
  };
}

describe('a training in two processes', { timeout: 600_000 }, () => {
  it('has the losses and the evaluation of one process, and one result', async () => {
    const { code, stdout, stderr } = await m3l(together('two'));
    expect(code, stderr).toBe(0);
    expectAsAlone(folder, 'two');
    const [one, two] = [alone.stdout, stdout].map((text) => JSON.parse(text).evaluation);
    expect(two.images).toBe(one.images);
    expect(two.robustMeanIoU).toBeCloseTo(one.robustMeanIoU, 2);
  });

  it('saves on Ctrl-C, and goes on in one process', async () => {
    const stopped = await m3l(together('stopped'), {
      onStderr: onceAfter(2, (child) => child.kill('SIGINT')),
    });
    expect(stopped.code, stopped.stderr).toBe(130);
    expect(stopped.stderr).toContain('M3L_INTERRUPTED');
    const resumed = await m3l(['train', '--resume', run('stopped'), '--json', '--no-check']);
    expect(resumed.code, resumed.stderr).toBe(0);
    expectAsAlone(folder, 'stopped');
  });

  it.each([
    ['forward', 1],
    ['backward', 1],
    ['checkpoint', 0],
  ])('loses no checkpoint where one dies in %s', async (where, rank) => {
    const options = { env: { DIE_AT: `${rank}:${where}` }, nodeOptions: ['--import', DIE_AT] };
    const died = await m3l(together(where, '--timeout', '30'), options);
    expect(died.code, died.stderr).toBe(1);
    expect(died.stderr).toContain(`rank ${rank} was ended by SIGKILL`);
    const lost = rank === 0 ? 'the store does not answer .*\\(rank 0,' : 'rank 1 has ended';
    expect(died.stderr).toMatch(
      new RegExp(`m3l, rank ${1 - rank}: .*${lost}.*M3L_DISTRIBUTED_PEER`),
    );
    // The first process, which writes, saves what was trained where another dies.
    expect(died.stderr.includes('is saved')).toBe(rank !== 0);
    const processes = where === 'forward' ? ['--nproc', '2'] : [];
    const resumed = await m3l(['train', '--resume', run(where), ...processes, '--no-check']);
    expect(resumed.code, resumed.stderr).toBe(0);
    expectAsAlone(folder, where);
  });

  it.skipIf(torch.cuda.isAvailable())('refuses a device that is not there', async () => {
    const { code, stderr } = await m3l(together('nowhere', '--set', 'device=cuda:7'));
    expect(code).not.toBe(0);
    expect(stderr).toContain('M3L_NO_CUDA');
  });

  it('says which size of a batch would do', async () => {
    const { code, stderr } = await m3l(together('odd', '--set', 'batch.labelled=3'));
    expect(code).not.toBe(0);
    expect(stderr).toContain('--set batch.labelled=4');
  });

  it('refuses other configurations, an odd start, and --nproc under torchrun', async () => {
    const env = (rank: number) => ({
      RANK: String(rank),
      WORLD_SIZE: '2',
      MASTER_ADDR: '127.0.0.1',
      MASTER_PORT: String(20_000 + (process.pid % 20_000)),
    });
    const args = ['train', config, '--out', run('unlike'), '--no-check', '--timeout', '60'];
    const both = await Promise.all(
      [0, 1].map((rank) => m3l([...args, '--set', `seed=${rank}`], { env: env(rank) })),
    );
    for (const { code, stderr } of both) {
      expect(code).toBe(1);
      expect(stderr).toContain('M3L_RANKS_DIFFER');
      expect(stderr).toContain('seed is 0 there and 1');
    }
    const nested = await m3l(together('nested'), { env: env(0) });
    expect(nested.code).toBe(2);
    expect(nested.stderr).toContain('Leave out --nproc');
  });
});
