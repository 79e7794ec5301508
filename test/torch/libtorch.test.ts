import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { gpuVisible } from '../../dist/torch/libtorch.js';

const dist = new URL('../../dist/', import.meta.url).href;
let home: string;

beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'm3l-libtorch-'));
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

/** The head of a library of this machine with one segment: looked at it seems whole, opened it is none. */
function head(): Buffer {
  const bytes = Buffer.alloc(120);
  bytes.writeUInt32BE(0x7f454c46);
  bytes[4] = 2;
  bytes.writeUInt16LE(process.arch === 'x64' ? 62 : 183, 18);
  bytes.writeBigUInt64LE(64n, 32);
  bytes.writeUInt16LE(56, 54);
  bytes.writeUInt16LE(1, 56);
  bytes.writeBigUInt64LE(120n, 64 + 32);
  return bytes;
}

/** A folder that looks like the torch package of a version. */
function fake(folder: string, version: string): string {
  mkdirSync(join(folder, 'lib'), { recursive: true });
  const cuda = version.includes('+cu') ? ['torch_cuda', 'c10_cuda'] : [];
  for (const name of ['torch', 'torch_cpu', 'c10', ...cuda]) {
    writeFileSync(join(folder, 'lib', `lib${name}.so`), head());
  }
  writeFileSync(join(folder, 'version.py'), `__version__ = '${version}'\n`);
  return folder;
}

/** A native folder that seems to have builds for these minors. */
function builds(...minors: string[]): string {
  const folder = join(home, `native-${minors.join('-')}`);
  for (const minor of minors) {
    const prebuilds = join(
      folder,
      `torch-${minor}`,
      `prebuilds/${process.platform}-${process.arch}`,
    );
    mkdirSync(prebuilds, { recursive: true });
    writeFileSync(join(prebuilds, 'm3l_core.node'), '');
  }
  return folder;
}

/** Runs a module in a process without any libtorch but what `environment` names. */
function child(source: string, environment: NodeJS.ProcessEnv = {}): string {
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ['--input-type=module', '-e', source],
    // A PATH without python3: the last place to look is then empty too.
    { encoding: 'utf8', env: { HOME: home, PATH: home, ...environment } },
  );
  expect(stderr).toBe('');
  return stdout.trim();
}

const search = (environment: NodeJS.ProcessEnv) => {
  const source = `
    import { libtorchCandidates } from '${dist}torch/libtorch.js';
    const refusals = [];
    const found = [...libtorchCandidates(refusals)].map((c) => [c.source, c.version]);
    console.log(JSON.stringify({ found, refusals }));`;
  return JSON.parse(child(source, environment)) as { found: string[][]; refusals: string[] };
};

describe('libtorch', () => {
  it('01 says of every place why it did not do', () => {
    const { found, refusals } = search({ LIBTORCH: join(home, 'nowhere') });
    expect(found).toEqual([]);
    expect(refusals).toHaveLength(4);
    expect(refusals[0]).toMatch(/^LIBTORCH: .*nowhere\/lib\/libtorch.so does not exist/);
    expect(refusals[1]).toMatch(/^cache: .*\.cache\/m3l\/libtorch is empty or missing/);
    expect(refusals[2]).toBe('package: @m3l/libtorch-linux-x64 is not installed');
    expect(refusals[3]).toMatch(/^python: python3 does not start/);
  });

  it('02 takes LIBTORCH, then what was chosen, then the newest of the cache, CPU before CUDA', () => {
    const cache = join(home, 'm3l');
    for (const name of ['2.11.0-cpu', '2.13.0-cpu', '2.13.0-cu130', '2.9.0-cpu']) {
      fake(join(cache, 'libtorch', name, 'torch'), name.replace('-', '+'));
    }
    const named = fake(join(home, 'mine'), '2.14.1+cu130');
    const M3L_ADDON_DIR = builds('2.11', '2.13', '2.14');
    const { found, refusals } = search({ LIBTORCH: named, M3L_HOME: cache, M3L_ADDON_DIR });
    const cached = [
      ['cache', '2.13.0+cpu'],
      ['cache', '2.11.0+cpu'],
      ['cache', '2.13.0+cu130'],
    ];
    // Where a GPU is visible CUDA comes first.
    const ordered = gpuVisible() ? [cached[2], cached[0], cached[1]] : cached;
    expect(found).toEqual([['LIBTORCH', '2.14.1+cu130'], ...ordered]);
    expect(refusals[0]).toMatch(
      /^cache: .*2\.9\.0-cpu\/torch is libtorch 2\.9\.0\+cpu: there are builds of m3l for libtorch .*2\.11.*2\.14, none for 2\.9/,
    );
    expect(search({ XDG_CACHE_HOME: home, M3L_ADDON_DIR }).found).toHaveLength(3);

    writeFileSync(join(cache, 'libtorch', 'use'), '2.11.0-cpu\n');
    const chosen = search({ M3L_HOME: cache, M3L_ADDON_DIR }).found;
    expect(chosen).toHaveLength(3);
    expect(chosen[0]).toEqual(['use', '2.11.0+cpu']);
    writeFileSync(join(cache, 'libtorch', 'use'), '../elsewhere');
    const refused = search({ M3L_HOME: cache, M3L_ADDON_DIR }).refusals;
    expect(refused).toContainEqual(expect.stringMatching(/^use: .* names no folder beside it/));
    rmSync(join(cache, 'libtorch', 'use'));
  });

  it('03 importing works without libtorch; the first use lists what was tried, and the mend', () => {
    const broken = fake(join(home, 'broken'), '2.13.0');
    const output = child(
      `import { torch } from '${dist}index.js';
       console.log(torch.available(), torch.loaded());
       try { torch.zeros([1]); } catch (error) { console.log(error.code, error.name, error.message); }`,
      { LIBTORCH: broken, M3L_HOME: join(home, 'empty') },
    );
    expect(output).toMatch(/^false false\nM3L_LIBTORCH_NOT_FOUND LibtorchNotFoundError/);
    expect(output).toMatch(/LIBTORCH: .*broken.*: .*\S/);
    expect(output).toMatch(/npx m3l libtorch install/);
  });

  it('04 a missing addon is another error with another mend', () => {
    const package_ = join(home, 'package');
    mkdirSync(package_, { recursive: true });
    writeFileSync(
      join(package_, 'package.json'),
      '{ "name": "m3l", "type": "module", "version": "1.2.3" }',
    );
    const output = child(
      `import { cpSync } from 'node:fs';
       import { fileURLToPath } from 'node:url';
       cpSync(fileURLToPath('${dist}torch'), '${package_}/dist/torch', { recursive: true });
       const modules = fileURLToPath(new URL('../node_modules/node-gyp-build', '${dist}'));
       cpSync(modules, '${package_}/node_modules/node-gyp-build', { recursive: true });
       const torch = await import('${package_}/dist/torch/index.js');
       try { torch.zeros([1]); } catch (error) { console.log(error.code, error.message); }`,
      { M3L_ADDON_DIR: join(home, 'addon') },
    );
    expect(output).toMatch(/^M3L_ADDON_NOT_FOUND/);
    expect(output).toMatch(/addon holds no m3l_loader\.node/);
    expect(output).toMatch(/build\/native holds no m3l_loader\.node/);
    expect(output).toMatch(/package @m3l\/linux-x64 is not installed/);
    expect(output).toMatch(/npm install @m3l\/linux-x64@1\.2\.3/);
  });
});
