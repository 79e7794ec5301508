import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const dist = new URL('../../dist/', import.meta.url).href;
let home: string;

beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'm3l-libtorch-'));
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

/** A folder that looks like the torch package of a version; its library is no library. */
function fake(folder: string, version: string): string {
  mkdirSync(join(folder, 'lib'), { recursive: true });
  writeFileSync(join(folder, 'lib', 'libtorch.so'), 'no library');
  writeFileSync(join(folder, 'version.py'), `__version__ = '${version}'\n`);
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
    expect(refusals).toHaveLength(3);
    expect(refusals[0]).toMatch(/^LIBTORCH: .*nowhere\/lib\/libtorch.so does not exist/);
    expect(refusals[1]).toMatch(/^cache: .*\.cache\/m3l\/libtorch is empty or missing/);
    expect(refusals[2]).toMatch(/^python: python3 does not start/);
  });

  it('02 takes LIBTORCH before the cache, the newest of the cache, CUDA before CPU', () => {
    const cache = join(home, 'm3l');
    for (const name of ['2.11.0-cpu', '2.13.0-cpu', '2.13.0-cu130', '2.9.0-cpu']) {
      fake(join(cache, 'libtorch', name, 'torch'), name.replace('-', '+'));
    }
    const named = fake(join(home, 'mine'), '2.14.1+cu130');
    const { found, refusals } = search({ LIBTORCH: named, M3L_HOME: cache });
    expect(found).toEqual([
      ['LIBTORCH', '2.14.1+cu130'],
      ['cache', '2.13.0+cu130'],
      ['cache', '2.13.0+cpu'],
      ['cache', '2.11.0+cpu'],
    ]);
    expect(refusals[0]).toMatch(/is libtorch 2.9.0\+cpu; 2.11 or newer is needed/);
    expect(search({ XDG_CACHE_HOME: home }).found).toHaveLength(3);
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
    expect(output).toMatch(/LIBTORCH: .*broken.*(invalid ELF header|file too short)/);
    expect(output).toMatch(/npx m3l libtorch install/);
  });

  it('04 a missing addon is another error with another mend', () => {
    const package_ = join(home, 'package');
    mkdirSync(package_, { recursive: true });
    const output = child(
      `import { cpSync } from 'node:fs';
       import { fileURLToPath } from 'node:url';
       cpSync(fileURLToPath('${dist}torch'), '${package_}/dist/torch', { recursive: true });
       const torch = await import('${package_}/dist/torch/index.js');
       try { torch.zeros([1]); } catch (error) { console.log(error.code, error.message); }`,
      { M3L_ADDON_DIR: join(home, 'addon') },
    );
    expect(output).toMatch(/^M3L_ADDON_NOT_FOUND/);
    expect(output).toMatch(/addon\/m3l_loader.node does not exist/);
    expect(output).toMatch(/build\/Release\/m3l_loader.node does not exist/);
    expect(output).toMatch(/npm run setup/);
  });
});
