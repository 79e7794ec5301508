import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { installedLibtorchs } from '../../dist/libtorch/cache.js';
import { type InstallOptions, installLibtorch } from '../../dist/libtorch/install.js';
import { PINS } from '../../dist/libtorch/pins.js';
import { elf, MACHINE, torchFiles, unpacked, wheel, zip } from './fake-wheel.js';
import { serve } from './server.js';

const all = mkdtempSync(join(tmpdir(), 'm3l-install-'));
afterAll(() => rmSync(all, { recursive: true, force: true }));

let folder: string;
let home: string;
let lines: string[];
beforeEach(() => {
  folder = mkdtempSync(join(all, 'case-'));
  home = join(folder, 'home');
  lines = [];
});

const reporter = { log: (line: string) => void lines.push(line) };
const install = (from: string, options: Partial<InstallOptions> = {}) =>
  installLibtorch({ from, home, reporter, ...options });

function file(bytes: Buffer, name = 'torch-2.13.0-cp312-cp312-linux_x86_64.whl'): string {
  writeFileSync(join(folder, name), bytes);
  return join(folder, name);
}

const names = () => installedLibtorchs(home).map(({ name }) => name);
const below = (path: string) =>
  (readdirSync(path, { recursive: true, withFileTypes: true }) as import('node:fs').Dirent[])
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(path.length + 1))
    .sort();

async function refused(code: string, message: RegExp, from: string, options = {}): Promise<void> {
  const before = existsSync(home) ? names() : [];
  const outcome = install(from, options);
  await expect(outcome).rejects.toMatchObject({ code });
  await expect(outcome).rejects.toThrow(message);
  expect(names()).toEqual(before);
  // Nothing of it is left but what was fetched.
  const left = existsSync(join(home, 'incomplete')) ? readdirSync(join(home, 'incomplete')) : [];
  expect(left.filter((name) => name !== 'wheels')).toEqual([]);
}

describe('an install', () => {
  it('from a wheel keeps what runs, and the licences', async () => {
    const done = await install(file(wheel()));
    expect(done).toEqual({
      folder: join(home, 'libtorch/2.13.0-cpu/torch'),
      name: '2.13.0-cpu',
      variant: 'cpu',
      version: '2.13.0+cpu',
      wasThere: false,
    });
    expect(below(join(home, 'libtorch/2.13.0-cpu'))).toEqual([
      'm3l-install.json',
      'torch-2.13.0+cpu.dist-info/METADATA',
      'torch-2.13.0+cpu.dist-info/licenses/LICENSE',
      'torch/lib/libc10.so',
      'torch/lib/libgomp.so.1',
      'torch/lib/libtorch.so',
      'torch/lib/libtorch_cpu.so',
      'torch/version.py',
    ]);
  });

  it('with headers keeps what a compiler needs, and replaces one without', async () => {
    await install(file(wheel()));
    const done = await install(file(wheel()), { keep: 'headers' });
    expect(done.wasThere).toBe(false);
    expect(existsSync(join(done.folder, 'include/torch/headeronly/version.h'))).toBe(true);
    expect(existsSync(join(done.folder, 'share/cmake/Torch/TorchConfig.cmake'))).toBe(true);
    expect(existsSync(join(done.folder, '__init__.py'))).toBe(false);
    expect((await install(file(wheel()))).wasThere).toBe(true);
  });

  it('whole keeps all of the wheel, as Python wants it', async () => {
    const done = await install(file(wheel()), { keep: 'whole' });
    expect(existsSync(join(done.folder, '__init__.py'))).toBe(true);
    expect(existsSync(join(done.folder, 'lib/libtorch_python.so'))).toBe(true);
  });

  it('from a zip of libtorch, whose version is in build-version', async () => {
    const entries = torchFiles({ version: '2.14.0+cpu' })
      .filter(({ name }) => name.startsWith('torch/') && !name.endsWith('version.py'))
      .map(({ name, data }) => ({ name: `lib${name}`, data }));
    const bytes = zip([...entries, { name: 'libtorch/build-version', data: '2.14.0+cpu\n' }]);
    expect((await install(file(bytes, 'libtorch.zip'))).name).toBe('2.14.0-cpu');
  });

  it('from a libtorch folder, or one that has torch in it', async () => {
    const site = unpacked(join(folder, 'site-packages'), torchFiles());
    expect((await install(join(site, 'torch'))).name).toBe('2.13.0-cpu');
    const again = await install(site, { force: true });
    expect(below(join(home, 'libtorch/2.13.0-cpu'))).toContain(
      'torch-2.13.0+cpu.dist-info/licenses/LICENSE',
    );
    expect(again.wasThere).toBe(false);
  });

  it('from a folder with one wheel of torch', async () => {
    mkdirSync(join(folder, 'wheels'));
    writeFileSync(join(folder, 'wheels/torch-2.13.0-cp312-x.whl'), wheel());
    expect((await install(join(folder, 'wheels'))).name).toBe('2.13.0-cpu');
  });

  it('from an address, checked by the sha256 after it', async () => {
    const bytes = wheel();
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const server = await serve(bytes);
    try {
      expect((await install(`${server.url}#sha256=${sha256}`)).name).toBe('2.13.0-cpu');
      expect(readdirSync(join(home, 'incomplete/wheels'))).toEqual([]);
      server.content = wheel({ files: { 'torch/new': 'x' } });
      await refused('M3L_LIBTORCH_HASH', /altered/, `${server.url}#sha256=${sha256}`);
    } finally {
      await server.close();
    }
  });

  it('of CUDA takes NVIDIA’s libraries from beside the folder, where torch looks for them', async () => {
    const library = elf({
      needed: ['libcudnn.so.9', 'libc.so.6'],
      runpath: '$ORIGIN/../../nvidia/cudnn/lib:$ORIGIN',
    });
    const files = { 'torch/lib/libtorch_cuda.so': library };
    const site = unpacked(
      join(folder, 'site'),
      torchFiles({
        version: '2.14.1+cu130',
        files: {
          ...files,
          'nvidia/cudnn/lib/libcudnn.so.9': elf(),
          'nvidia/nccl/include/nccl.h': '',
        },
      }),
    );
    const done = await install(site);
    expect(done).toMatchObject({ name: '2.14.1-cu130', variant: 'cu130' });
    expect(existsSync(join(done.folder, '../nvidia/cudnn/lib/libcudnn.so.9'))).toBe(true);
    const header = '../nvidia/nccl/include/nccl.h';
    expect(existsSync(join(done.folder, header))).toBe(false);
    const compiling = await install(site, { keep: 'headers' });
    expect(existsSync(join(compiling.folder, header))).toBe(true);
    rmSync(join(site, 'nvidia'), { recursive: true });
    await refused('M3L_LIBTORCH_CONTENT', /libcudnn\.so\.9.*--variant cu130/s, site, {
      force: true,
    });
  });

  it('is not done again, and is repaired where it is damaged', async () => {
    const from = file(wheel());
    await install(from);
    expect((await install(from)).wasThere).toBe(true);
    writeFileSync(join(home, 'libtorch/2.13.0-cpu/torch/lib/libc10.so'), 'short');
    expect(installedLibtorchs(home)[0]?.damage).toMatch(/libc10\.so has 5 bytes/);
    expect((await install(from)).wasThere).toBe(false);
    expect(installedLibtorchs(home)[0]?.damage).toBeNull();
  });

  it('keeps several versions side by side', async () => {
    await install(file(wheel()));
    await install(file(wheel({ version: '2.14.0+cpu' }), 'b.whl'));
    expect(names()).toEqual(['2.13.0-cpu', '2.14.0-cpu']);
  });

  it('clears away what killed installs left, and not what another does', async () => {
    const incomplete = join(home, 'incomplete');
    const ended = spawnSync('true').pid;
    for (const pid of [ended, process.ppid])
      mkdirSync(join(incomplete, `2.13.0-cpu-${pid}`, 'torch'), { recursive: true });
    await install(file(wheel()));
    expect(readdirSync(incomplete).sort()).toEqual([`2.13.0-cpu-${process.ppid}`, 'wheels'].sort());
  });
});

describe('an install of what cannot be used is refused', () => {
  const cases: [string, string, RegExp, () => Buffer][] = [
    [
      'no version',
      'M3L_LIBTORCH_CONTENT',
      /says a version/,
      () => wheel({ files: { 'torch/version.py': null } }),
    ],
    [
      'no libtorch_cpu',
      'M3L_LIBTORCH_CONTENT',
      /libtorch_cpu\.so is not there/,
      () => wheel({ files: { 'torch/lib/libtorch_cpu.so': null } }),
    ],
    [
      'a zip of something else',
      'M3L_LIBTORCH_CONTENT',
      /neither lib\/libtorch\.so/,
      () => zip([{ name: 'a', data: 'b' }]),
    ],
    [
      'a library that is text',
      'M3L_LIBTORCH_CONTENT',
      /libc10\.so is damaged: it is no ELF/,
      () => wheel({ files: { 'torch/lib/libc10.so': 'x'.repeat(99) } }),
    ],
    [
      'a library that is empty',
      'M3L_LIBTORCH_CONTENT',
      /libc10\.so is damaged: it has 0 bytes/,
      () => wheel({ files: { 'torch/lib/libc10.so': '' } }),
    ],
    [
      'a library that is cut off',
      'M3L_LIBTORCH_CONTENT',
      /libc10\.so is damaged: it is cut off/,
      () => wheel({ files: { 'torch/lib/libc10.so': elf({ padding: 999 }).subarray(0, 500) } }),
    ],
    [
      'another architecture',
      'M3L_LIBTORCH_ARCHITECTURE',
      /is for (aarch64|x86-64), this Node\.js for/,
      () =>
        wheel({ library: elf({ machine: process.arch === 'x64' ? MACHINE.arm64 : MACHINE.x64 }) }),
    ],
    [
      'an old version',
      'M3L_LIBTORCH_VERSION',
      /is libtorch 2\.10\.1\+cpu, and 2\.11 or newer/,
      () => wheel({ version: '2.10.1+cpu' }),
    ],
    ['a truncated wheel', 'M3L_LIBTORCH_ARCHIVE', /ends too soon/, () => wheel().subarray(0, -99)],
    [
      'a name that leaves the folder',
      'M3L_LIBTORCH_ARCHIVE',
      /relative path/,
      () => zip([...torchFiles(), { name: '../../evil', data: '' }]),
    ],
  ];
  it.each(cases)('%s', async (_, code, message, bytes) => {
    await refused(code, message, file(bytes()));
    expect(existsSync(join(folder, 'evil'))).toBe(false);
  });

  it('a minor without a build, unless it is to be built for', async () => {
    const from = file(wheel({ version: '2.15.0+cpu' }));
    const lack = (version: string) => (version.startsWith('2.13') ? null : 'there is no build');
    const message = /is libtorch 2\.15\.0\+cpu, and there is no build.*--with-headers/;
    await refused('M3L_LIBTORCH_VERSION', message, from, { lack });
    const { folder } = await install(from, { home: join(home, 'of its own') });
    await refused('M3L_LIBTORCH_VERSION', message, folder, { lack });
    expect((await install(from, { lack, keep: 'headers' })).name).toBe('2.15.0-cpu');
    expect((await install(file(wheel(), 'b.whl'), { lack })).name).toBe('2.13.0-cpu');
  });

  it('what has the pinned name and other bytes', async () => {
    await refused(
      'M3L_LIBTORCH_HASH',
      /sha256 is [\da-f]{64}, expected 6746db/,
      file(wheel(), PINS.cpu.torch.file),
    );
  });

  it('pinned wheels in a folder, one of which was altered', async () => {
    file(wheel(), PINS.cpu.torch.file);
    await refused('M3L_LIBTORCH_HASH', /truncated, altered/, folder);
  });

  it('another variant than was asked for', async () => {
    await refused(
      'M3L_LIBTORCH_VARIANT',
      /is libtorch 2\.13\.0-cpu, and --variant cu130/,
      file(wheel()),
      { variant: 'cu130' },
    );
  });

  it.each([
    ['/no/such/file', 'M3L_LIBTORCH_SOURCE', /no such file/],
    ['ftp://example.org/a.whl', 'M3L_LIBTORCH_SOURCE', /only http/],
    ['https://', 'M3L_LIBTORCH_SOURCE', /only http/],
    ['https://example.org/a.whl#sha256=12', 'M3L_LIBTORCH_SOURCE', /64 hex digits/],
    ['/dev/null', 'M3L_LIBTORCH_SOURCE', /neither a file nor a folder/],
    [tmpdir(), 'M3L_LIBTORCH_CONTENT', /neither lib\/libtorch\.so nor a wheel/],
  ])('--from %s', async (from, code, message) => {
    await refused(code, message, from);
  });

  it('a cache that is a file, lies in one, or cannot be made', async () => {
    const from = file(wheel());
    const blocked = file(Buffer.from('x'), 'blocked');
    for (const home of [blocked, join(blocked, 'deeper'), '/proc/m3l']) {
      const outcome = install(from, { home });
      await expect(outcome).rejects.toMatchObject({ code: 'M3L_LIBTORCH_CACHE' });
      await expect(outcome).rejects.toThrow(/cannot be written to.*M3L_HOME/);
    }
  });
});

describe('a disk that is full', () => {
  const disk = join(all, 'disk');
  mkdirSync(disk);
  const mounted =
    spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=128k', 'tmpfs', disk]).status === 0;
  afterAll(() => {
    if (mounted) spawnSync('umount', [disk]);
  });
  const big = wheel({ files: { 'torch/lib/libbig.so': elf({ padding: 300_000 }) } });

  it.skipIf(!mounted)('is refused before anything is unpacked', async () => {
    const outcome = install(file(big), { home: join(disk, 'home') });
    await expect(outcome).rejects.toMatchObject({ code: 'M3L_LIBTORCH_DISK' });
    await expect(outcome).rejects.toThrow(/needs 30\d kB, and 1\d\d kB are free.*M3L_HOME/);
    expect(installedLibtorchs(join(disk, 'home'))).toEqual([]);
  });

  it.skipIf(!mounted)('is refused before a pinned one is fetched', async () => {
    const options = { home: join(disk, 'home'), reporter, variant: 'cu130' } as const;
    const outcome = installLibtorch(options);
    await expect(outcome).rejects.toMatchObject({ code: 'M3L_LIBTORCH_DISK' });
    await expect(outcome).rejects.toThrow(/libtorch 2\.14\.1\+cu130 needs 6\.8 GB/);
  });

  it.skipIf(!mounted)('stops a download whose size no one knew', async () => {
    const bytes = Buffer.from(Array.from({ length: 400_000 }, (_, i) => (i * 31) % 255));
    const server = await serve(bytes, { chunked: true });
    try {
      const outcome = install(server.url, { home: join(disk, 'home') });
      await expect(outcome).rejects.toMatchObject({ code: 'M3L_LIBTORCH_DISK' });
      await expect(outcome).rejects.toThrow(/ENOSPC.*run it again: what was downloaded is kept/);
    } finally {
      await server.close();
    }
  });
});
