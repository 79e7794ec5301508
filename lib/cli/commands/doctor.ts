import type { Command } from 'commander';
import type { Check } from '../doctor.js';
import { EXIT, printJson, printResult } from '../output.js';

export function addDoctor(program: Command): void {
  program
    .command('doctor')
    .description('check Node, libtorch, the addon, GPU, memory and build tools; say what to mend')
    .option('--json', 'print the checks as JSON', false)
    .action(async ({ json }: { json: boolean }) => {
      const { examine } = await import('../doctor.js');
      const checks = await examine();
      const ok = checks.every(({ status }) => status !== 'fail');
      if (json) printJson({ ok, checks });
      else printResult(`${checks.map(describe).join('\n')}\n\n${verdict(checks)}`);
      process.exitCode = ok ? EXIT.ok : EXIT.failure;
    });
}

const MARKS = { ok: '✓', warn: '!', fail: '✗' };

function describe({ name, status, found, fix }: Check): string {
  const lines = found.split('\n').join(`\n${' '.repeat(17)}`);
  const mend = fix === null ? '' : `\n${' '.repeat(17)}→ ${fix}`;
  return `${MARKS[status]} ${name.padEnd(15)}${lines}${mend}`;
}

function verdict(checks: Check[]): string {
  const failed = checks.filter(({ status }) => status === 'fail').map(({ name }) => name);
  if (failed.length > 0) return `m3l cannot work yet: mend ${failed.join(', ')}.`;
  return 'm3l is ready.';
}
