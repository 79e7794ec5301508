// Texts that people write: configurations, --set, lists of samples.
import { writeFileSync } from 'node:fs';
import { readList, readNames } from '../../dist/data/index.js';
import { configToYaml, resolveConfig } from '../../dist/experiment/index.js';
import { mutate } from './mutate.mjs';
import { attempts } from './readers.mjs';

const CONFIGS = [
  `data:
  root: \${M3L_FUZZ_ROOT:-rooms}
  classes: [wall, floor, ceiling]
  lists: { labelled: { file: train.txt, count: 6 }, unlabelled: u.txt, val: val.txt }
  modalities: { rgb: { kind: rgb }, depth: { kind: depth, invalid: 0 } }
  crop: 32
model: { name: linear-fusion, backbone: mit-b0 }
framework: { name: m3l, maskWeights: { rgb: 1, depth: 2 } }
iterations: 10
batch: { labelled: 1, unlabelled: 1 }
evaluate: { every: 5 }
`,
  'base: &base { lr: 0.1 }\ndata: { rooms: {} }\nframework: supervised\n',
];
const SETS = [
  'framework.name=m3l',
  'data.lists.val={ file: val.txt, names: [a, b] }',
  'data.classes=[a, b]',
  'data.modalities.depth.invalid=0',
  'seed=3',
];
const LISTS = [
  'rgb/a.png depth/a.png label/a.png\nrgb/b.png depth/b.png label/b.png\n',
  '# comment\n\nrgb/a b.png\tdepth/a.png\tlabel/a.png\r\n',
  'a\nb\nc\n',
];

const texts = (list) => async () => list.map((text) => Buffer.from(text));

const write = (valid, random, path) => writeFileSync(path, mutate(valid, random, true));

export default [
  {
    name: 'config',
    extension: 'yaml',
    seeds: texts(CONFIGS),
    make: write,
    // What was accepted must come back the same.
    read: (path) =>
      attempts(() => {
        const config = resolveConfig(path);
        writeFileSync(path, configToYaml(config));
        resolveConfig(path);
      }),
  },
  {
    name: 'set',
    extension: 'json',
    seeds: texts(SETS),
    make: (valid, random, path) => {
      const sets = [0, 1].map(() => mutate(valid, random, true).toString());
      writeFileSync(path, JSON.stringify(sets));
    },
    read: async (path) => {
      const { readFileSync } = await import('node:fs');
      const sets = JSON.parse(readFileSync(path, 'utf8'));
      const config = `${path}.yaml`;
      writeFileSync(config, CONFIGS[0]);
      return attempts(() => resolveConfig(config, sets));
    },
  },
  {
    name: 'list',
    extension: 'txt',
    seeds: texts(LISTS),
    make: write,
    read: (path) =>
      attempts(
        () => readList(path, { root: '/tmp', modalities: 2, labelled: true }),
        () =>
          readNames(path, { root: '/tmp', files: ['rgb/{name}.png'], label: 'label/{name}.png' }),
      ),
  },
];
