// A prediction with whatever images, options and run folder it is given.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import {
  checkConfig,
  createNetworks,
  disposeNetworks,
  predict,
  RunFolder,
  saveCheckpoint,
} from '../../dist/experiment/index.js';
import * as torch from '../../dist/torch/index.js';
import { mutate } from './mutate.mjs';
import { attempts } from './readers.mjs';

let folder;

/** A run that was not trained, two images, and a configuration to put back. */
async function makeRun() {
  folder = mkdtempSync(join(tmpdir(), 'm3l-fuzz-predict-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  const config = checkConfig({
    data: { root: folder, classes: 3, lists: { labelled: 'a.txt', val: 'a.txt' }, crop: 32 },
    framework: 'supervised',
    threads: 1,
  });
  const run = RunFolder.create(config, join(folder, 'run'));
  run.begin(config);
  const networks = createNetworks(config, 3);
  torch.scope(() => {
    const [[name, network]] = Object.entries(networks);
    const tensors = Object.entries(network.stateDict()).map(([key, tensor]) => [
      `${name}.${key}`,
      tensor,
    ]);
    const facts = { iteration: 1, config, meta: { iteration: 1 }, score: null };
    saveCheckpoint(
      run.checkpoints,
      { ...facts, tensors: Object.fromEntries(tensors) },
      { keep: 1 },
    );
  });
  disposeNetworks(networks);
  const noise = Uint8Array.from({ length: 40 * 36 * 3 }, (_, i) => (i * 151) % 251);
  const rgb = sharp(noise, { raw: { width: 40, height: 36, channels: 3 } });
  await rgb.clone().png().toFile(join(folder, 'rgb.png'));
  await rgb.clone().extractChannel(0).toColourspace('b-w').png().toFile(join(folder, 'depth.png'));
}

const VALID = {
  images: { rgb: 'rgb.png', depth: 'depth.png' },
  out: 'out.png',
  overlay: 'overlay.jpg',
  checkpoint: 'latest',
  sets: ['data.evaluationSize=32', 'evaluate.flip=true', 'data.align=rgb'],
};

const PATHS = [
  '',
  '.',
  '/',
  'rgb.png',
  'run',
  'out.tif',
  'new/out.png',
  'a\0.png',
  '/dev/full',
  '/proc/x.png',
  '/dev/null/x.png',
  `${'n'.repeat(300)}.png`,
  '.png',
  'x.gif',
];
const SETS = [
  'data.evaluationSize=[1,1]',
  'data.evaluationSize=[1,4000]',
  'data.resize=[7,9]',
  'data.align=depth',
  'data.align=x',
  'evaluate.fill=zero',
  'evaluate.fill=x',
  'evaluate.flip=false',
  'data.modalities.depth.invalid=0',
  'data.modalities.depth.range=[0,1]',
  'data.modalities.rgb=grey',
  'data.modalities.x=rgb',
  'data.classes=4',
  'data.classes=255',
  'data.palette=[[1,2,3],[4,5,6]]',
  'model.backbone=mit-b1',
  'framework=m3l',
  'device=cuda',
  'device=x',
  'threads=0',
  'threads=100000',
  'seed=-1',
  '=',
  'a',
  'data=null',
  'model.name=x',
];

/** The valid ones, or some of them changed at random. */
function optionsOf(random) {
  const options = structuredClone(VALID);
  const inFolder = (path) => (path.startsWith('/') ? path : join(folder, path));
  for (let times = random ? 1 + random.below(3) : 0; times > 0; times--) {
    const kind = random.below(6);
    if (kind === 0) options.sets = [random.pick(SETS), random.pick(SETS)];
    else if (kind === 1) options.out = random.pick(PATHS);
    else if (kind === 2) options.overlay = random.pick(PATHS);
    else if (kind === 3)
      options.images[random.pick(['rgb', 'depth', 'x', '__proto__'])] = random.pick(PATHS);
    else if (kind === 4) delete options.images[random.pick(['rgb', 'depth'])];
    else
      options.sets = [
        mutate(
          SETS.map((set) => Buffer.from(set)),
          random,
          true,
        ).toString(),
      ];
  }
  for (const key of Object.keys(options.images))
    options.images[key] = inFolder(options.images[key]);
  return {
    ...options,
    out: options.out === '' ? '' : inFolder(options.out),
    overlay: options.overlay === '' ? '' : inFolder(options.overlay),
  };
}

export default [
  {
    name: 'predict',
    extension: 'json',
    seeds: async () => {
      await makeRun();
      return [Buffer.from(JSON.stringify({ options: optionsOf(), files: {} }))];
    },
    make: (_seeds, random, path) => {
      const files = {};
      // One thing of the run or the images damaged, or the options.
      const [name, isText] = random.pick([
        ['rgb.png', false],
        ['depth.png', false],
        ['run/config.yaml', true],
        ['run/checkpoints/step-0000001/checkpoint.json', true],
        [null, true],
        [null, true],
      ]);
      if (name !== null)
        files[name] = mutate([readFileSync(join(folder, name))], random, isText).toString('base64');
      const options = name === null ? optionsOf(random) : optionsOf();
      writeFileSync(path, JSON.stringify({ options, files }));
    },
    read: async (path) => {
      const { options, files } = JSON.parse(readFileSync(path, 'utf8'));
      const kept = Object.entries(files).map(([name, text]) => {
        const file = join(folder, name);
        const before = readFileSync(file);
        writeFileSync(file, Buffer.from(text, 'base64'));
        return [file, before];
      });
      const { tensors } = torch.memory();
      try {
        const errors = await attempts(() => predict(RunFolder.open(join(folder, 'run')), options));
        const left = torch.memory().tensors - tensors;
        return left > 0 ? [...errors, new Error(`${left} tensors were left`)] : errors;
      } finally {
        for (const [file, before] of kept) writeFileSync(file, before);
      }
    },
  },
];
