import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { openAddon } from '../../dist/torch/addon.js';

const script = fileURLToPath(new URL('../../scripts/release/symbols.mjs', import.meta.url));
const { BASELINE, needsOf } = (await import(script)) as {
  BASELINE: Record<string, string>;
  needsOf(file: string, baseline?: object): { highest: Record<string, string>; above: string[] };
};
const { file } = openAddon('m3l_loader');

describe.skipIf(process.platform !== 'linux')('the symbols that native files need', () => {
  it('01 are listed with the highest version of each kind', () => {
    const { highest } = needsOf(file);
    expect(highest.GLIBC).toMatch(/^2\.\d+/);
    expect(Object.keys(BASELINE)).toEqual(expect.arrayContaining(Object.keys(highest)));
  });

  it('02 are above a baseline that is older than they are, by number and not by letters', () => {
    const old = { ...BASELINE, GLIBC: '2.0' };
    expect(needsOf(file, old).above).toEqual([
      expect.stringMatching(/^GLIBC_2\.[\d.]+ > GLIBC_2\.0$/),
    ]);
    const late = { GLIBC: '2.100', GLIBCXX: '3.4.100', CXXABI: '1.3.100' };
    expect(needsOf(file, late).above).toEqual([]);
  });

  it('03 cannot be asked of what is no library', () => {
    const { status, stderr } = spawnSync(process.execPath, [script, script], { encoding: 'utf8' });
    expect(status).toBe(1);
    expect(stderr).toMatch(/symbols\.mjs: it is no ELF file/);
  });
});
