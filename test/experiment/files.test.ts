import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import {
  checkConfig,
  editDistance,
  nearest,
  RunFolder,
  writeFileAtomic,
  writeFolderAtomic,
} from 'm3l/experiment';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { completed } from '../../dist/experiment/config/follow-data.js';

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'm3l-files-'));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('nearest', () => {
  it('01 counts edits, a swap of neighbours as one', () => {
    expect(editDistance('kitten', 'sitting')).toBe(3);
    expect(editDistance('form', 'from')).toBe(1);
    expect(editDistance('', 'abc')).toBe(3);
  });

  it('02 finds what was meant, and nothing where nothing is near', () => {
    expect(nearest('bacth', ['batch', 'seed'])).toBe('batch');
    expect(nearest('Depth', ['rgb', 'depth'])).toBe('depth');
    expect(nearest('zebra', ['batch', 'seed'])).toBeNull();
  });
});

describe('atomic writes', () => {
  it('03 replace a file whole', () => {
    const file = join(folder, 'file.txt');
    writeFileAtomic(file, 'old');
    writeFileAtomic(file, 'new');
    expect(readFileSync(file, 'utf8')).toBe('new');
  });

  it('04 leave the old file and no rubbish where writing fails', () => {
    const place = join(folder, 'occupied');
    mkdirSync(join(place, 'inner'), { recursive: true });
    expect(() => writeFileAtomic(place, 'text')).toThrow();
    expect(readdirSync(folder).filter((name) => name.includes('.tmp-'))).toEqual([]);
    expect(readdirSync(place)).toEqual(['inner']);
  });

  it.each([
    ['a NUL', 'a\0.txt'],
    ['a name too long', `${'n'.repeat(300)}.txt`],
    ['a place that takes no files', '/proc/m3l/file.txt'],
    ['a file as a folder', 'file.txt/inner.txt'],
  ])('04 say of %s that it cannot be written', (_, path) => {
    const wanted = resolve(folder, path);
    for (const write of [
      () => writeFileAtomic(wanted, 'text'),
      () => writeFolderAtomic(join(wanted, 'folder'), () => {}),
    ]) {
      expect(write).toThrow(expect.objectContaining({ code: 'M3L_WRITE_FAILED' }));
    }
  });

  it('05 leave the old folder where filling the new one fails', () => {
    const target = join(folder, 'checkpoint');
    writeFolderAtomic(target, (place) => writeFileSync(join(place, 'a'), '1'));
    const fill = (place: string) => {
      writeFileSync(join(place, 'b'), '2');
      throw new Error('disk full');
    };
    expect(() => writeFolderAtomic(target, fill)).toThrow('disk full');
    expect(readdirSync(target)).toEqual(['a']);
    expect(readdirSync(folder).filter((name) => name.includes('.tmp-'))).toEqual([]);
  });
});

describe('RunFolder', () => {
  const config = checkConfig({ name: 'tiny', data: { rooms: {} } });

  it('06 refuses a folder that holds a run, and one that is none', () => {
    const run = RunFolder.create(config, join(folder, 'run'));
    expect(existsSync(run.path)).toBe(false);
    run.begin(config);
    expect(run.config()).toEqual(completed(config));
    // Nothing was trained yet: the same place does after a mended mistake.
    const mended = { ...config, seed: 9 };
    RunFolder.create(mended, run.path).begin(mended);
    expect(run.config().seed).toBe(9);
    run.log({ kind: 'train', iteration: 1 });
    expect(() => run.begin(config)).toThrow(/already holds a run/);
    expect(() => RunFolder.create(config, run.path)).toThrow(/already holds a run.*--resume/);
    expect(() => RunFolder.open(folder)).toThrow(/holds no config.yaml/);
    expect(() => RunFolder.open(join(folder, 'absent'))).toThrow(/does not exist/);
  });

  it('a run stored before the key was there keeps the ensemble that it was trained with', () => {
    const run = RunFolder.create(config, join(folder, 'earlier'));
    run.begin(config);
    expect(run.config().model.ensemble).toBe('evidence');
    const stored = readFileSync(run.configFile, 'utf8');
    writeFileSync(run.configFile, stored.replace(/^ +ensemble: evidence\n/m, ''));
    expect(run.config().model.ensemble).toBe('all');
    expect(run.config(['model.ensemble=present']).model.ensemble).toBe('present');
  });

  it('07 drops metrics after the resumed iteration and a line cut short', () => {
    const run = RunFolder.create(config, join(folder, 'metrics'));
    run.begin(config);
    for (const iteration of [1, 2, 3]) run.log({ kind: 'train', iteration, loss: 1 / iteration });
    writeFileSync(run.metricsFile, '{"kind":"tra', { flag: 'a' });
    run.truncateMetrics(2);
    expect(run.metrics().map(({ iteration }) => iteration)).toEqual([1, 2]);
    expect(readFileSync(run.metricsFile, 'utf8').endsWith('\n')).toBe(true);
  });
});
