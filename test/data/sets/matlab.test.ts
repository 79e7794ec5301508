import { execFileSync } from 'node:child_process';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { openHdf5 } from '../../../dist/data/sets/hdf5.js';
import { readMat5 } from '../../../dist/data/sets/mat5.js';
import { temporaryFolder } from '../fixtures.js';

const matlab = join(import.meta.dirname, '../../fixtures/matlab');
const folder = temporaryFolder();

describe('MATLAB files up to 7.2', () => {
  it('01 give numbers, plain or compressed', () => {
    const { trainNdxs, testNdxs } = readMat5(join(matlab, 'splits.mat'));
    expect(trainNdxs).toEqual({ kind: 'numbers', values: [1, 2, 4, 5] });
    expect(testNdxs).toEqual({ kind: 'numbers', values: [3, 6] });
    const { mapClass, className } = readMat5(join(matlab, 'classMapping40.mat'));
    expect(mapClass).toMatchObject({ kind: 'numbers' });
    expect(mapClass?.kind === 'numbers' && mapClass.values.slice(38, 42)).toEqual([39, 40, 1, 2]);
    expect(className?.kind === 'cell' && className.items[39]).toEqual({
      kind: 'text',
      text: 'class 40',
    });
  });

  it('02 give structs, of them the fields that are asked for', () => {
    const { SUNRGBDMeta } = readMat5(join(matlab, 'SUNRGBDMeta.mat'), ['rgbname', 'depthname']);
    expect(SUNRGBDMeta?.kind === 'struct' && SUNRGBDMeta.items.length).toBe(6);
    expect(SUNRGBDMeta?.kind === 'struct' && SUNRGBDMeta.items[5]).toEqual({
      sequenceName: { kind: 'other' },
      groundtruth3DBB: { kind: 'other' },
      rgbpath: { kind: 'other' },
      rgbname: { kind: 'text', text: 'rgb5.jpg' },
      depthname: { kind: 'text', text: 'depth5.png' },
    });
    const whole = readMat5(join(matlab, 'SUNRGBDMeta.mat')).SUNRGBDMeta;
    expect(whole?.kind === 'struct' && whole.items[0]!.groundtruth3DBB).toEqual({
      kind: 'struct',
      items: [
        {
          centroid: { kind: 'numbers', values: [1, 1, 1] },
          classname: { kind: 'text', text: 'bed' },
        },
      ],
    });
  });

  it('03 are refused where they are others, cut short or damaged', () => {
    const refusal = (name: string, bytes: Buffer) => {
      writeFileSync(join(folder, name), bytes);
      try {
        readMat5(join(folder, name));
      } catch (error) {
        return error;
      }
      return null;
    };
    const wrong = expect.objectContaining({ code: 'M3L_MAT_FORMAT' });
    const whole = readFileSync(join(matlab, 'allsplit.mat'));
    for (let length = 0; length < whole.length; length += 17) {
      const error = refusal('cut.mat', whole.subarray(0, length));
      // Cut between two variables, it is a file of one.
      if (error !== null) expect(error).toEqual(wrong);
    }
    const random = (i: number) => (Math.imul(i + 1, 0x9e3779b1) >>> 8) % whole.length;
    for (let i = 0; i < 60; i++) {
      const bytes = Buffer.from(whole);
      bytes[128 + (random(i) % (whole.length - 128))] = random(i + 1000) & 255;
      const error = refusal('bad.mat', bytes);
      if (error !== null) expect(error).toEqual(wrong);
    }
    const seven = readFileSync(join(matlab, 'SUNRGBD2Dseg.mat'));
    expect(refusal('seven.mat', seven)).toMatchObject({
      message: expect.stringContaining('it is of version 7.3'),
    });
    expect(() => readMat5(join(folder, 'none.mat'))).toThrow(wrong);
  });
});

describe('MATLAB 7.3 files', () => {
  it('04 give one image of many, and what references mean', async () => {
    const images = await openHdf5(join(matlab, 'nyu_depth_v2_labeled.mat'));
    expect(images.shape('images')).toEqual([6, 3, 64, 48]);
    const { shape, data } = images.at('depths', 2);
    expect([shape, data[0], data[63 * 48]]).toEqual([[64, 48], 3, 6.5]);
    expect(() => images.at('labls', 0)).toThrow('no array named labls');
    images.close();
    const labels = await openHdf5(join(matlab, 'SUNRGBD2Dseg.mat'));
    const label = labels.referenced('SUNRGBD2Dseg/seglabel', 4);
    expect([label.shape, label.data[0], label.data[63 * 48 + 47]]).toEqual([[64, 48], 4, 11]);
    labels.close();
  });

  it('05 are refused where they are none', async () => {
    const wrong = expect.objectContaining({ code: 'M3L_MAT_FORMAT' });
    await expect(openHdf5(join(folder, 'none.mat'))).rejects.toEqual(wrong);
    await expect(openHdf5(join(matlab, 'splits.mat'))).rejects.toEqual(wrong);
  });

  it('06 ask for the package that reads them where it is not installed', () => {
    const [root, alone] = [join(import.meta.dirname, '../../..'), join(folder, 'alone')];
    for (const part of ['data', 'torch']) {
      cpSync(join(root, 'dist', part), join(alone, 'dist', part), { recursive: true });
    }
    writeFileSync(join(alone, 'package.json'), '{ "type": "module" }');
    const module = pathToFileURL(join(alone, 'dist/data/sets/hdf5.js')).href;
    const script = `(await import('${module}')).openHdf5('images.mat').catch((e) => console.log(e.message))`;
    const told = execFileSync(process.execPath, ['--input-type=module', '-e', script]);
    expect(`${told}`).toContain('npm install h5wasm@0.10.3');
    const { devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    expect(`${told}`).toContain(devDependencies.h5wasm);
  });
});
