import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));
const script = join(root, 'scripts/tools.mjs');
const { nodeFault } = (await import(script)) as { nodeFault(version?: string): string | null };

/** A program of the clone in a process that takes itself for another Node. */
function runAs(version: string, program: string) {
  const pretend = `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '${version}' } })`;
  const args = ['--import', `data:text/javascript,${encodeURIComponent(pretend)}`];
  return spawnSync(process.execPath, [...args, join(root, program)], { encoding: 'utf8' });
}

describe('the Node that m3l needs', () => {
  it('01 is the one that engines names', () => {
    const { engines } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    expect(engines.node).toBe('^20.19.0 || >=22.12.0');
    expect(nodeFault()).toBeNull();
  });

  it('02 has require() of ES modules', () => {
    for (const version of ['20.19.0', '20.20.2', '22.12.0', '22.13.1', '23.0.0', '26.12.0']) {
      expect(nodeFault(version), version).toBeNull();
    }
    for (const version of ['16.20.2', '18.20.8', '20.11.1', '20.18.3', '21.7.3', '22.11.0']) {
      expect(nodeFault(version), version).toBe(
        `this is Node ${version}, and m3l needs Node ^20.19.0 || >=22.12.0: https://nodejs.org/en/download`,
      );
    }
  });

  it.each([
    ['dist/cli/main.js', 'm3l: '],
    ['scripts/setup.mjs', ''],
  ])('03 is asked for in one sentence by %s', (program, before) => {
    const { status, stdout, stderr } = runAs('20.11.1', program);
    expect(status).toBe(1);
    expect(stdout).toBe('');
    expect(stderr).toBe(`${before}${nodeFault('20.11.1')}\n`);
  });
});
