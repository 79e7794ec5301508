import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { resolveConfig } from 'm3l/experiment';
import { describe, expect, it } from 'vitest';
import { configFolder, ROOMS, refusalOf } from './files.js';

const folder = configFolder();
const { write } = folder;

describe('extends', () => {
  it('01 lays objects over each other, short forms written out, and replaces lists', () => {
    write(
      `${ROOMS}name: base\nmodel: segformer\nframework: { name: supervised, lambda: 3 }\nseed: 2\n`,
      'base.yaml',
    );
    write('data: { scales: [1, 2], rooms: { val: 3 } }\nseed: 3\n', 'second.yaml');
    const file = write(
      'extends: [base.yaml, second.yaml]\nframework: m3l\nmodel: linear-fusion\ndata: { scales: [0.5] }\n',
    );
    const config = resolveConfig(file, ['data.rooms.val=4']);
    expect(config.framework).toMatchObject({ name: 'm3l', lambda: 3 });
    expect(config.data.scales).toEqual([0.5]);
    expect(config.data.rooms).toMatchObject({ labelled: 2, val: 4 });
    expect([config.name, config.seed, config.model.name]).toEqual(['config', 3, 'linear-fusion']);
    expect(config).not.toHaveProperty('extends');
  });

  it('02 takes a key back to its default by null', () => {
    write(`${ROOMS}seed: 2\nbatch: { labelled: 3, unlabelled: 4 }\n`, 'base.yaml');
    const { seed, batch } = folder.read('extends: base.yaml\nseed: null\nbatch: { labelled: }\n');
    expect([seed, batch]).toEqual([1, { unlabelled: 4 }]);
    write(`${ROOMS}framework: { confidenceThreshold: 0.5 }\n`, 'base.yaml');
    const { framework } = folder.read(
      'extends: base.yaml\nframework: { confidenceThreshold: null }',
    );
    expect(framework.confidenceThreshold).toBeNull();
  });

  it('03 takes the paths of each file from its own folder', () => {
    write('extends: deeper/more.yaml\ndata: { root: set, classes: 2 }\n', 'data/set.yaml');
    write(
      'data: { lists: { labelled: a, val: b } }\nmodel: { pretrained: w }',
      'data/deeper/more.yaml',
    );
    const { data, model } = folder.read('extends: data/set.yaml\nframework: supervised\n');
    expect(data.root).toBe(join(folder.path(), 'data/set'));
    expect(model.pretrained).toBe(join(folder.path(), 'data/deeper/w'));
  });

  it('04 names the file and line that are wrong', () => {
    write(`${ROOMS}\nseed: -1\nframwork: m3l\n`, 'base.yaml');
    const { message } = folder.refusal('extends: base.yaml\niterations: 0\n');
    expect(message).toContain('base.yaml:3: seed: found -1');
    expect(message).toContain("base.yaml:4: unknown key 'framwork'; did you mean 'framework'?");
    expect(message).toContain('config.yaml:2: iterations: found 0');
    write('seed: [1\n', 'base.yaml');
    expect(folder.refusal('extends: base.yaml\n')).toMatchObject({
      code: 'M3L_CONFIG_SYNTAX',
      message: expect.stringMatching(/base\.yaml:\d: is not valid YAML/),
    });
    expect(folder.refusal(`${ROOMS}extnds: base.yaml\n`).message).toContain(
      "did you mean 'extends'?",
    );
  });

  it('05 refuses circles, too many files, and what is no file', () => {
    write('extends: b.yaml\n', 'a.yaml');
    write('extends: a.yaml\n', 'b.yaml');
    for (let k = 0; k < 40; k++) write(`extends: [c${k + 1}.yaml, c${k + 1}.yaml]\n`, `c${k}.yaml`);
    write(ROOMS, 'c40.yaml');
    for (const [text, message] of [
      ['extends: a.yaml', 'b.yaml:1: extends goes in a circle'],
      ['extends: config.yaml', 'extends goes in a circle'],
      ['extends: c0.yaml', 'reads more than 32 files'],
      ['\nextends: absent.yaml', 'absent.yaml does not exist'],
      ['\nextends: 3', 'config.yaml:2: extends: found 3, expected a file'],
      ['extends: [{ a: 1 }]', 'expected a file or a list of files'],
      ['extends: .', 'is a folder'],
    ] as const) {
      const refusal = folder.refusal(text);
      expect([refusal.code, refusal.message]).toEqual([
        'M3L_CONFIG_EXTENDS',
        expect.stringContaining(message),
      ]);
    }
  });
});

describe('the configurations of the package', () => {
  const configs = join(import.meta.dirname, '../../../configs');
  const experiments = readdirSync(configs).filter((name) => name.endsWith('.yaml'));

  it.each(experiments.filter((name) => name !== 'paper.yaml'))('06 %s stands', (name) => {
    const { data, ...config } = resolveConfig(join(configs, name));
    expect(config.name).toBe(name.replace('.yaml', ''));
    expect(data.palette?.length).toBe(
      data.palette === undefined ? undefined : data.classes?.length,
    );
    expect(readFileSync(join(configs, name), 'utf8')).toMatch(/^extends: /m);
  });

  it('07 paper.yaml is a base: it names no data', () => {
    expect(refusalOf(() => resolveConfig(join(configs, 'paper.yaml'))).message).toContain(
      'data: found nothing',
    );
  });

  it('08 have the values of the paper', () => {
    const stanford = resolveConfig(join(configs, 'stanford-indoor.yaml'));
    expect(stanford.data).toMatchObject({ crop: [540, 540], labelOffset: 0 });
    expect(stanford.data.classes).toHaveLength(13);
    const sun = resolveConfig(join(configs, 'sun-rgbd.yaml'));
    expect(sun.data).toMatchObject({ crop: [500, 500], labelOffset: 1 });
    expect(new Set(sun.data.classes).size).toBe(37);
    for (const config of [stanford, sun]) {
      expect(config.framework).toMatchObject({ name: 'm3l', fidelity: 'paper' });
      expect(config.batch).toEqual({ labelled: 16, unlabelled: 16 });
      expect(config.model).toMatchObject({ backbone: 'mit-b2', ensemble: 'all' });
    }
    expect([stanford.iterations, sun.iterations]).toEqual([5 * 3074, 50 * 297]);
  });

  it('09 are found by their names, unless there is a file of that name', () => {
    const named = resolveConfig('rooms-demo', ['seed=4']);
    const { seed, ...rest } = resolveConfig(join(configs, 'rooms-demo.yaml'));
    expect(named).toEqual({ ...rest, seed: 4 });
    const extending = folder.read('extends: [paper, data/rooms]\n');
    expect(extending.framework.fidelity).toBe('paper');
    expect([extending.name, extending.data.rooms?.labelled]).toEqual(['config', 32]);
    write(`${ROOMS}seed: 5\n`, 'paper');
    expect(folder.read('extends: paper\n')).toMatchObject({ seed: 5, device: 'auto' });
  });

  it('10 are listed where a name is neither a file nor one of them', () => {
    for (const name of ['rooms-dem', '../configs/rooms-demo']) {
      expect(refusalOf(() => resolveConfig(name))).toMatchObject({
        code: 'M3L_CONFIG_MISSING',
        message: expect.stringMatching(/by its name: .*data\/rooms, .*rooms-demo, /),
      });
      // What weights were trained by is no configuration to name.
      expect(refusalOf(() => resolveConfig(name))?.message).not.toContain('weights/');
    }
    expect(folder.refusal('extends: papr\n').message).toMatch(/papr does not exist.* paper, /);
  });
});
