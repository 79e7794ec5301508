import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { libtorchWithLicences, whyNoPackages } from './packed.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const { stageLibrary, stageLibtorch, stageNative } = (await import(
  join(root, 'scripts/release/packages.mjs')
)) as {
  stageLibrary(folder: string): string;
  stageNative(folder: string, native: string, libtorch: string): string;
  stageLibtorch(folder: string, libtorch: string): string;
};
const libtorch = libtorchWithLicences();
const skipped = whyNoPackages();
if (skipped !== null) console.warn(`the licences in the packages: skipped, ${skipped}`);

let all: string;
const text = (...names: string[]) => readFileSync(join(all, ...names), 'utf8');
const filesOf = (name: string) =>
  readdirSync(join(all, name), { recursive: true, encoding: 'utf8' }).filter((file) =>
    statSync(join(all, name, file)).isFile(),
  );

describe.skipIf(skipped !== null)('the licences in the packages', () => {
  beforeAll(() => {
    all = mkdtempSync(join(tmpdir(), 'm3l-licences-'));
    stageLibrary(join(all, 'm3l'));
    stageNative(join(all, 'native'), join(root, 'build/native'), libtorch!);
    stageLibtorch(join(all, 'libtorch'), libtorch!);
  });
  afterAll(() => rmSync(all, { recursive: true, force: true }));

  it('01 are named in each manifest, and lie in each package with a notice', () => {
    for (const name of ['m3l', 'native', 'libtorch']) {
      const { license } = JSON.parse(text(name, 'package.json')) as { license: string };
      expect(license, name).toMatch(/Apache-2\.0/);
      expect(text(name, 'LICENSE').length, name).toBeGreaterThan(1000);
      expect(text(name, 'NOTICE'), name).toMatch(/PyTorch/);
    }
  });

  it('02 of m3l are its own: what it needs of others, it depends on', () => {
    const names = filesOf('m3l').filter((name) => /\.(js|ts|mjs)$/.test(name));
    const foreign = names.filter((name) => /copyright|@licen[cs]e|SPDX/i.test(text('m3l', name)));
    expect(foreign).toEqual([]);
    expect(names.filter((name) => name.includes('node_modules'))).toEqual([]);
  });

  it('03 of the addons are those of the headers that are compiled in', () => {
    const texts = { pytorch: /Facebook/, 'node-addon-api': /MIT/, 'node-api-headers': /MIT/ };
    for (const [name, words] of Object.entries(texts)) {
      expect(text('native/licenses', name, 'LICENSE')).toMatch(words);
      expect(text('native/licenses', name, 'LICENSE')).toMatch(/copyright/i);
    }
    expect(text('native/NOTICE')).toMatch(/licenses\//);
    const cuda = filesOf('native').some((name) => name.endsWith('/m3l_kernels_cuda.so'));
    const terms = join(all, 'native/licenses/cuda-runtime/NVIDIA-CUDA-EULA.txt');
    expect(existsSync(terms)).toBe(cuda);
    if (cuda) expect(readFileSync(terms, 'utf8')).toContain('libcudart_static.a');
  });

  it('04 of libtorch are PyTorch’s, its parts’, and those of what lies beside it', () => {
    const notice = text('libtorch/NOTICE');
    for (const name of filesOf('libtorch').filter((file) => file.startsWith('lib/'))) {
      expect(notice).toContain(name.slice('lib/'.length));
    }
    const { license } = JSON.parse(text('libtorch/package.json')) as { license: string };
    expect(license).toMatch(/GPL-3\.0-or-later WITH GCC-exception-3\.1/);
    expect(text('libtorch/licenses/libgomp/GPL-3.0.txt')).toMatch(/GNU GENERAL PUBLIC LICENSE/);
    expect(text('libtorch/licenses/libgomp/GCC-exception-3.1.txt')).toMatch(/No Weakening/);
    expect(text('libtorch/licenses/mkl/Intel-simplified-2022-10.txt')).toMatch(/Redistribution/);
    for (const part of ['onnx', 'sleef', 'XNNPACK', 'protobuf']) {
      expect(existsSync(join(all, 'libtorch/licenses/third_party', part)), part).toBe(true);
    }
  });
});
