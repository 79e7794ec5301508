import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Installation, type Said } from './installation.js';

let there: Installation;

beforeEach(() => {
  there = new Installation(mkdtempSync(join(tmpdir(), 'm3l-broken-')));
});
afterEach(() => rmSync(there.project, { recursive: true, force: true }));

const check = ({ checks }: Said, name: string) => checks.find((one) => one.name === name)!;
const root = (name: string, file: string) =>
  join(there.native, name, `prebuilds/${process.platform}-${process.arch}`, file);

/** Both tell the reason and the mend; neither speaks of a clone or shows source code. */
function expectBoth(said: Said, name: string, reason: RegExp, mend: RegExp): void {
  expect(said.ok).toBe(false);
  const { status, found, fix } = check(said, name);
  expect(status, found).toBe('fail');
  expect(found).toMatch(reason);
  expect(fix).toMatch(mend);
  expect(said.thrown).toMatch(reason);
  expect(said.thrown).toMatch(mend);
  for (const text of [found, fix, said.thrown]) {
    expect(text).not.toMatch(/npm run setup|npm run build|throw new|\.js:\d+/);
  }
}

const reinstall = /npm install @m3l\/linux-x64@\d+\.\d+\.\d+/;
const install = /npm install @m3l\/libtorch-linux-x64`; or run `npx m3l libtorch install/;

describe('an installation that is whole', () => {
  it('01 computes, and doctor names what is in use', () => {
    const said = there.ask();
    expect(said.thrown).toBe('6\n');
    expect(check(said, 'libtorch').found).toMatch(/from package: .*linux-x64, in use/);
    expect(said.ok).toBe(true);
  });
});

describe('a broken addon', () => {
  it('02 its package is missing (--omit=optional)', () => {
    rmSync(there.native, { recursive: true });
    expectBoth(there.ask(), 'addon', /@m3l\/linux-x64 is not installed/, reinstall);
  });

  it('03 its package is of another version', () => {
    there.manifest(there.native, '99.0.0');
    expectBoth(there.ask(), 'addon', /is version 99\.0\.0, m3l is \d/, reinstall);
  });

  it('04 the loader is missing', () => {
    rmSync(join(there.native, 'loader'), { recursive: true });
    expectBoth(there.ask(), 'addon', /holds no m3l_loader\.node/, reinstall);
  });

  it('05 the loader is truncated', () => {
    const file = root('loader', 'm3l_loader.node');
    there.replace(file, readFileSync(file).subarray(0, 5000));
    expectBoth(there.ask(), 'addon', /m3l_loader\.node is truncated: \d+ of its bytes/, reinstall);
  });

  it('06 the loader is something else', () => {
    there.replace(root('loader', 'm3l_loader.node'), '<html>404</html>'.repeat(20));
    expectBoth(there.ask(), 'addon', /m3l_loader\.node is no 64-bit ELF library/, reinstall);
  });

  it('07 the loader is for another architecture', () => {
    const file = root('loader', 'm3l_loader.node');
    const bytes = readFileSync(file);
    bytes.writeUInt16LE(process.arch === 'x64' ? 183 : 62, 18);
    there.replace(file, bytes);
    expectBoth(there.ask(), 'addon', /m3l_loader\.node is for (arm64|x64), this is/, reinstall);
  });

  it('08 there is a build for no libtorch', () => {
    for (const minor of ['2.13', '2.14']) {
      rmSync(join(there.native, `torch-${minor}`), { recursive: true, force: true });
    }
    expectBoth(there.ask(), 'addon', /holds no torch-\*\/ with an m3l_core\.node/, reinstall);
  });

  it('09 the core is truncated', () => {
    const file = root('torch-2.13', 'm3l_core.node');
    there.replace(file, readFileSync(file).subarray(0, 100_000));
    expectBoth(there.ask(), 'addon', /m3l_core\.node is truncated/, reinstall);
  });

  it('10 the kernels are missing', () => {
    rmSync(root('torch-2.13', 'm3l_kernels.so'));
    expectBoth(there.ask(), 'addon', /m3l_kernels\.so does not exist/, reinstall);
  });

  it('11 a dependency is missing', () => {
    rmSync(join(there.modules, 'node-gyp-build'), { recursive: true });
    expectBoth(there.ask(), 'addon', /package node-gyp-build, .* does not load/, reinstall);
  });

  it('12 the image addon alone is missing: tensors do without, doctor does not', () => {
    rmSync(join(there.native, 'image'), { recursive: true });
    const said = there.ask();
    expect(said.thrown).toBe('6\n');
    expect(check(said, 'addon').found).toMatch(/holds no m3l_image\.node/);
    expect(check(said, 'addon').fix).toMatch(reinstall);
  });
});

describe('a broken libtorch', () => {
  it('13 there is none', () => {
    rmSync(there.libtorch, { recursive: true });
    const said = there.ask();
    expectBoth(said, 'libtorch', /package: @m3l\/libtorch-linux-x64 is not installed/, install);
    for (const place of ['LIBTORCH is not set', 'cache: ', 'python: python3 does not start']) {
      expect(said.thrown).toContain(place);
    }
  });

  it('14 its main library is truncated', () => {
    const file = join(there.libtorch, 'lib/libtorch_cpu.so');
    there.replace(file, readFileSync(file).subarray(0, 1 << 20));
    expectBoth(there.ask(), 'libtorch', /libtorch_cpu\.so is truncated: \d+ of its/, install);
  });

  it('15 a library that it needs is missing', () => {
    rmSync(join(there.libtorch, 'lib/libc10.so'));
    expectBoth(there.ask(), 'libtorch', /libc10\.so does not exist/, install);
  });

  it('16 a library is none, and the system says so', () => {
    rmSync(join(there.libtorch, 'lib/libgomp.so.1'));
    there.replace(join(there.libtorch, 'lib/libgomp.so.1'), 'nothing');
    expectBoth(there.ask(), 'libtorch', /libgomp\.so\.1: (file too short|invalid ELF)/, install);
  });

  it('17 it is of a minor without a build, in LIBTORCH: told, and the package does', () => {
    const old = join(there.project, 'old');
    there.library(old, '2.9.1+cpu');
    const said = there.ask({ LIBTORCH: old });
    expect(said.thrown).toBe('6\n');
    expect(check(said, 'libtorch').found).toMatch(
      /\(LIBTORCH: .*old is libtorch 2\.9\.1\+cpu: there are builds of m3l for libtorch 2\.1.*, none for 2\.9\)/,
    );
  });

  it('18 it does not say its version', () => {
    rmSync(join(there.libtorch, 'version.py'));
    expectBoth(there.ask(), 'libtorch', /does not say its version/, install);
  });

  it('19 LIBTORCH leads nowhere, and there is no other', () => {
    rmSync(there.libtorch, { recursive: true });
    const said = there.ask({ LIBTORCH: '/nowhere' });
    expectBoth(said, 'libtorch', /LIBTORCH: \/nowhere\/lib\/libtorch\.so does not exist/, install);
  });

  it('20 the one that was chosen in the cache is gone: told, and another does', () => {
    const folder = there.cached('2.13.0-cpu');
    writeFileSync(join(there.home, 'm3l/libtorch/use'), '2.13.5-cpu\n');
    const said = there.ask();
    expect(said.thrown).toBe('6\n');
    const { found } = check(said, 'libtorch');
    expect(found).toMatch(/\(use: .*2\.13\.5-cpu\/torch\/lib\/libtorch\.so does not exist\)/);
    expect(found).toContain(`from cache: ${folder}, in use`);
  });
});

describe('a process that may not', () => {
  const [major = 0] = process.versions.node.split('.').map(Number);
  const permission = [
    ...[major < 23 ? '--experimental-permission' : '--permission', '--no-warnings'],
    '--allow-fs-read=*',
  ];

  it('21 load addons is told the flag', () => {
    const said = there.ask({}, permission);
    expectBoth(said, 'addon', /permission model forbids addons/, /start Node with --allow-addons/);
  });

  it('22 start Python is told so, and needs another libtorch', () => {
    rmSync(there.libtorch, { recursive: true });
    const said = there.ask({}, [...permission, '--allow-addons']);
    expectBoth(said, 'libtorch', /python: was not asked: Node's permission model/, install);
  });

  it('23 read the cache is told the flag', () => {
    rmSync(there.libtorch, { recursive: true });
    const [flag = '', quiet = ''] = permission;
    const reading = [there.modules, join(there.project, 'program.mjs')];
    const flags = [
      flag,
      quiet,
      '--allow-addons',
      ...reading.map((path) => `--allow-fs-read=${path}`),
    ];
    const thrown = there.compute({}, flags);
    expect(thrown).toMatch(/cache: Node's permission model forbids reading .*m3l\/libtorch/);
    expect(thrown).toMatch(/start Node with --allow-fs-read=/);
  });
});
