import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { resolveConfig } from 'm3l/experiment';
import { describe, expect, it } from 'vitest';
import { configFolder, ROOMS } from './files.js';

const folder = configFolder();

const FILES = `
data:
  root: data
  classes: [road, pothole]
  modalities: { rgb: rgb, depth: depth }
  lists: { labelled: a.txt, unlabelled: b.txt, val: c.txt }
  crop: 540
  scales: [0.5, 0.75, 1, 1.5, 1.75, 2]
model: linear-fusion
framework: m3l
`;

const at = (value: unknown, path: string) =>
  path.split('.').reduce((inner, key) => (inner as Record<string, unknown>)[key], value);

describe('--set', () => {
  it.each([
    ['data.modalities.depth.invalid=0', 'data.modalities.depth', { kind: 'depth', invalid: 0 }],
    ['data.modalities.thermal=depth', 'data.modalities.thermal', { kind: 'depth' }],
    ['data.lists.labelled.count=6', 'data.lists.labelled.file', 'a.txt'],
    ['data.lists.labelled.count=6', 'data.lists.labelled.count', 6],
    ['model.backbone=mit-b0', 'model.name', 'linear-fusion'],
    ['framework=supervised', 'framework.name', 'supervised'],
    ['framework.lambda=2', 'framework', { name: 'm3l', lambda: 2 }],
    ['data.crop=64', 'data.crop', [64, 64]],
    ['data.crop.1=64', 'data.crop', [540, 64]],
    ['data.scales.0=0.25', 'data.scales', [0.25, 0.75, 1, 1.5, 1.75, 2]],
    ['data.classes.1=hole', 'data.classes', ['road', 'hole']],
    ['data.lists.val={ file: d.txt, count: null }', 'data.lists.val', { file: 'd.txt' }],
    ['data.lists.unlabelled.choose=spread', 'data.lists.unlabelled.choose', 'spread'],
    ['framework.confidenceThreshold=null', 'framework.confidenceThreshold', null],
    [
      "data.palette=['#ff0000', [0, 1, 2]]",
      'data.palette',
      [
        [255, 0, 0],
        [0, 1, 2],
      ],
    ],
    ['name=a=b', 'name', null],
  ])('01 %s', (set, path, expected) => {
    if (expected === null && path === 'name') {
      expect(folder.refusal(FILES, [set]).message).toContain("--set name=a=b: name: found 'a=b'");
      return;
    }
    const found = at(folder.read(FILES, [set]), path);
    if (typeof expected === 'object' && !Array.isArray(expected) && expected !== null) {
      expect(found).toMatchObject(expected);
    } else expect(found).toEqual(expected);
  });

  it('02 starts from the defaults where the file says nothing', () => {
    const { data } = folder.read(ROOMS, ['data.modalities.depth.mean=0.5']);
    expect(data.modalities).toEqual({
      rgb: { kind: 'rgb' },
      depth: { kind: 'depth', invalid: 0, mean: 0.5 },
    });
  });

  it('03 takes keys back to their defaults by null', () => {
    const { seed, data } = folder.read(`${FILES}seed: 7\n`, ['seed=null', 'data.modalities=null']);
    expect([seed, Object.keys(data.modalities)]).toEqual([1, ['rgb', 'depth']]);
  });

  it.each([
    ['iterations', 'expected key.path=value'],
    ['=3', 'expected key.path=value'],
    ['data..crop=3', 'expected key.path=value'],
    ['__proto__.x=1', "'__proto__' cannot be a key"],
    ['data.__proto__.x=1', "'__proto__' cannot be a key"],
    ['data.constructor.prototype.x=1', "'constructor' cannot be a key"],
    ['data={ __proto__: { x: 1 } }', "'__proto__' cannot be a key"],
    ['seed=*a', 'the alias *a has no anchor'],
    ['seed=&a [*a]', 'an alias stands inside its own anchor'],
    ['seed=!!js/function x', 'is not valid YAML: Unresolved tag'],
    [`seed=${'['.repeat(60)}${']'.repeat(60)}`, 'levels deep'],
    ['seed=[1', 'is not valid YAML'],
    ['seed.x=1', 'seed is 1, which has no keys'],
    ['data.root.x=1', 'which has no keys'],
    ['data.scales.9=1', 'expected a number from 0 to 5'],
    ['data.scales.first=1', 'expected a number from 0 to 5'],
  ])('04 refuses %s', (set, message) => {
    const { code, message: found } = folder.refusal(`${FILES}seed: 1\n`, [set]);
    expect([code, found]).toEqual(['M3L_CONFIG_SET', expect.stringContaining(message)]);
    expect(({} as { x?: number }).x).toBeUndefined();
  });

  it('05 says that the override is wrong, not the file', () => {
    const sets = ['seed=-1', 'itertions=2', 'extends=a.yaml'];
    const { message } = folder.refusal(`${FILES}seed: 1\n`, sets);
    expect(message).toContain(
      "--set extends=a.yaml: 'extends' has a meaning in configuration files",
    );
    expect(message).toContain('--set seed=-1: seed: found -1, expected at least 0.');
    expect(message).toContain(
      "--set itertions=2: unknown key 'itertions'; did you mean 'iterations'?",
    );
  });

  it('06 takes paths from the current folder, those of the file from its own', () => {
    const place = folder.path();
    const file = folder.write(`${FILES}initialise: runs/a\n`);
    const { data, initialise } = resolveConfig(file);
    expect([data.root, initialise]).toEqual([join(place, 'data'), join(place, 'runs/a')]);
    mkdirSync(join(place, 'here'));
    writeFileSync(join(place, 'here/list.txt'), '');
    const before = process.cwd();
    process.chdir(join(place, 'here'));
    try {
      const here = resolveConfig(file, [
        ...['data.root=x', 'initialise=y', 'model.pretrained=z.safetensors'],
        ...['data.lists.labelled=list.txt', 'data.lists.val.file=absent.txt'],
      ]);
      expect([here.data.root, here.initialise, here.model.pretrained]).toEqual(
        ['x', 'y', 'z.safetensors'].map((name) => resolve(name)),
      );
      // A list that is not here is one of the data.
      expect(here.data.lists?.labelled.file).toBe(resolve('list.txt'));
      expect(here.data.lists?.val.file).toBe('absent.txt');
    } finally {
      process.chdir(before);
    }
  });
});
