import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { torch } from 'm3l';
import { describe, expect, it } from 'vitest';

const script = join(import.meta.dirname, '../../scripts/fuzz-calls.mjs');

describe('public functions', () => {
  it('00 that call a function take no class for one', () => {
    for (const call of [torch.scope, torch.detached, torch.noGrad]) {
      expect(() => call(class {} as never)).toThrow(/expected a function/);
      expect(
        call(function plain() {
          return 3;
        }),
      ).toBe(3);
    }
  });

  it.each([
    ['tensors', 1500],
    ['models', 140],
  ])(
    '01 of %s work or throw an M3lError, whatever they are given',
    (of, least) => {
      const args = [script, '--of', of, '--calls', '4000', '--seed', '41'];
      const { stdout, stderr, signal } = spawnSync(process.execPath, args, { encoding: 'utf8' });
      expect(stdout, `${signal} ${stderr}`).not.toBe('');
      const { calls, functions, faults } = JSON.parse(stdout);
      expect(faults).toEqual([]);
      expect([calls, functions > least]).toEqual([4000, true]);
    },
    120_000,
  );
});
