import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { installLibtorch } from '../../dist/libtorch/install.js';
import { PINS } from '../../dist/libtorch/pins.js';
import { missingLibraries } from '../../dist/libtorch/verify.js';

/** Where a machine without a network may have PyTorch's wheel. */
const wheel = join('/opt/wheels', PINS.cpu.torch.file);
const home = mkdtempSync(join(tmpdir(), 'm3l-real-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));

it.skipIf(!existsSync(wheel))(
  `PyTorch’s own wheel is installed, and computes (needs ${wheel})`,
  async () => {
    const lines: string[] = [];
    const reporter = { log: (line: string) => void lines.push(line) };
    const { folder, version } = await installLibtorch({ from: wheel, home, reporter });
    expect(version).toBe(PINS.cpu.version);
    expect(readdirSync(join(folder, 'lib')).sort()).toEqual([
      'libc10.so',
      'libgomp.so.1',
      'libtorch.so',
      'libtorch_cpu.so',
      'libtorch_global_deps.so',
    ]);
    expect(missingLibraries(folder)).toEqual([]);
    const program = `
      const { torch } = await import(${JSON.stringify(new URL('../../dist/index.js', import.meta.url).href)});
      const { libtorch } = await import(${JSON.stringify(new URL('../../dist/torch/native.js', import.meta.url).href)});
      console.log(torch.ones([2, 3]).sum().item(), libtorch().folder);`;
    const { LIBTORCH: _, ...environment } = process.env;
    const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
      encoding: 'utf8',
      env: { ...environment, M3L_HOME: home },
    });
    expect(stdout.trim()).toBe(`6 ${folder}`);
  },
);
