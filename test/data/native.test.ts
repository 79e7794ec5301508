import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { native } from '../../dist/data/native.js';
import { temporaryFolder } from './fixtures.js';

const folder = temporaryFolder();
const dist = fileURLToPath(new URL('../../dist/', import.meta.url));

describe('the image addon', () => {
  it('loads without libtorch', () => {
    const program = `
      const { native } = await import(${JSON.stringify(`${dist}data/native.js`)});
      console.log(native().extremes(new Uint8Array([3, 1, 2]), -1).join());`;
    const { stdout } = spawnSync(process.execPath, ['--input-type=module', '--eval', program], {
      encoding: 'utf8',
      env: { ...process.env, LIBTORCH: '/nonexistent', M3L_HOME: folder, PATH: '' },
    });
    expect(stdout).toBe('1,3\n');
  });

  it('says where it was looked for when it is missing', () => {
    const copy = join(folder, 'package', 'dist');
    for (const layer of ['torch', 'data']) {
      mkdirSync(join(copy, layer), { recursive: true });
      cpSync(`${dist}${layer}`, join(copy, layer), { recursive: true });
    }
    const manifest = join(folder, 'package', 'package.json');
    writeFileSync(manifest, '{ "name": "m3l", "type": "module", "version": "1.2.3" }');
    const gyp = 'node_modules/node-gyp-build';
    cpSync(`${dist}../${gyp}`, join(folder, 'package', gyp), { recursive: true });
    const program = `
      const { native } = await import(${JSON.stringify(`${copy}/data/native.js`)});
      try { native(); } catch (error) { console.log(error.code, error.message); }`;
    const { stdout } = spawnSync(process.execPath, ['--input-type=module', '--eval', program], {
      encoding: 'utf8',
      env: { ...process.env, M3L_ADDON_DIR: join(folder, 'addon') },
    });
    expect(stdout).toMatch(/^M3L_ADDON_NOT_FOUND/);
    expect(stdout).toMatch(/addon holds no m3l_image\.node/);
    expect(stdout).toMatch(/npm install @m3l\/linux-x64/);
  });

  it('refuses arguments that reach beyond their arrays', () => {
    const { unfilter, sampleLabels, sampleDepth, sampleColour, toClasses } = native();
    const pixels = new Uint8Array(12);
    const out = new Uint8Array(4);
    const two = Int32Array.of(0, 1);
    const refused = expect.objectContaining({ code: 'M3L_ARGUMENT' });
    const refuses = (call: () => unknown) => expect(call).toThrow(refused);
    refuses(() => unfilter(pixels, 3, 4, 1, false));
    refuses(() => unfilter(pixels, 2, 5, 2, false));
    refuses(() => unfilter(pixels, 2, 4, 5, false));
    refuses(() => unfilter(pixels, -1, 4, 1, false));
    refuses(() => sampleLabels(pixels, 4, Int32Array.of(0, 4), two, 0, 0, 2, 2, 255, out));
    refuses(() => sampleLabels(pixels, 4, two, Int32Array.of(-1, 0), 0, 0, 2, 2, 255, out));
    refuses(() => sampleLabels(pixels, 4, two, Int32Array.of(0, 3), 0, 0, 2, 2, 255, out));
    refuses(() => sampleLabels(pixels, 4, two, two, 1, 0, 2, 2, 255, out));
    refuses(() => sampleLabels(pixels, 4, two, two, 0, 0, 2, 3, 255, out));
    refuses(() => sampleLabels(pixels, 0, two, two, 0, 0, 2, 2, 255, out));
    refuses(() =>
      sampleDepth(pixels, 4, two, two, 0, 0, 2, 2, 0, 1, 0, 1, 0, 1, -1, new Float32Array(3)),
    );
    const taps = [two, two, new Float32Array(1)] as [Int32Array, Int32Array, Float32Array];
    const scales = new Float32Array(6);
    const colours = new Float32Array(12);
    refuses(() => sampleColour(pixels, 2, ...taps, ...taps, 0, 0, 2, 2, scales, colours));
    refuses(() => toClasses(pixels, 13, 0, out));
    refuses(() => toClasses([1] as never, 13, 0, out));
    refuses(() => toClasses(pixels, Number.NaN, 0, pixels));
    // What is right is done.
    expect(sampleLabels(pixels.fill(7), 4, two, two, 0, 0, 2, 2, 255, out)).toBeUndefined();
    expect([...out]).toEqual([7, 7, 7, 7]);
  });
});
