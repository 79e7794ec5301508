// Files that training writes: safetensors, checkpoints, metrics.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { orReadError } from '../../dist/experiment/checkpoint.js';
import { trainingFacts } from '../../dist/experiment/checkpoint-facts.js';
import {
  checkConfig,
  checkSameModel,
  findCheckpoint,
  loadCheckpoint,
  RunFolder,
  saveCheckpoint,
} from '../../dist/experiment/index.js';
import { AdamW } from '../../dist/optim/index.js';
import * as torch from '../../dist/torch/index.js';
import { mutate, mutateJson } from './mutate.mjs';

const config = () => checkConfig({ data: { rooms: {} }, framework: 'supervised' });

/** A folder that is gone when the process ends. */
function scratch() {
  const folder = mkdtempSync(join(tmpdir(), 'm3l-fuzz-seed-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

async function attempt(work) {
  try {
    torch.scope(() => void work());
    return [];
  } catch (error) {
    return [error];
  }
}

/** @param {(optimizer: AdamW) => void} use */
function withOptimizer(use) {
  torch.scope(() => {
    const parameter = torch.ones([2, 3]).requiresGrad_();
    const optimizer = new AdamW([{ params: [parameter], name: 'all' }]);
    try {
      torch.sum(torch.mul(parameter, 2)).backward();
      optimizer.step();
      use(optimizer);
    } finally {
      optimizer.dispose();
    }
  });
}

function saveSeed(folder) {
  withOptimizer((optimizer) => {
    const { tensors, meta } = optimizer.stateDict();
    const named = Object.entries(tensors).map(([key, tensor]) => [`optimizer.${key}`, tensor]);
    saveCheckpoint(
      folder,
      {
        iteration: 3,
        config: config(),
        tensors: { 'student.weight': torch.ones([2, 3]), ...Object.fromEntries(named) },
        meta: { iteration: 3, seed: 0, framework: 'supervised', optimizer: meta },
        score: 0.5,
      },
      { keep: 1 },
    );
  });
  return findCheckpoint(folder, 'latest');
}

/** As a resumed training does. */
function resume(path) {
  const { config: found, tensors, ...facts } = loadCheckpoint(path);
  checkSameModel(path, found, config());
  withOptimizer((optimizer) =>
    orReadError(path, () => {
      const { optimizer: meta } = trainingFacts(facts);
      const state = Object.entries(tensors).flatMap(([key, tensor]) =>
        key.startsWith('optimizer.') ? [[key.slice(10), tensor]] : [],
      );
      optimizer.loadStateDict({ tensors: Object.fromEntries(state), meta });
      optimizer.step();
    }),
  );
}

let valid;

export default [
  {
    name: 'safetensors',
    extension: 'safetensors',
    seeds: async () => {
      const file = join(scratch(), 'seed');
      torch.scope(() => {
        torch.saveSafetensors(
          file,
          { a: torch.ones([2, 3]), b: torch.zeros([0, 4]), c: torch.ones([3], { dtype: 'uint8' }) },
          { format: 'pt' },
        );
      });
      return [readFileSync(file)];
    },
    make: (seeds, random, path) => {
      const [seed] = seeds;
      const length = Number(seed.readBigUInt64LE());
      const header = seed.subarray(8, 8 + length);
      const kind = random.below(3);
      if (kind === 0) {
        writeFileSync(path, mutate(seeds, random, false));
        return;
      }
      const changed =
        kind === 1
          ? mutate([header], random, true)
          : Buffer.from(JSON.stringify(mutateJson(JSON.parse(header.toString()), random)));
      const size = Buffer.alloc(8);
      size.writeBigUInt64LE(BigInt(changed.length));
      writeFileSync(path, Buffer.concat([size, changed, seed.subarray(8 + length)]));
    },
    read: (path) => attempt(() => torch.loadSafetensors(path)),
  },
  {
    name: 'checkpoint',
    extension: 'json',
    seeds: async () => {
      valid = saveSeed(scratch());
      return [readFileSync(join(valid, 'checkpoint.json'))];
    },
    make: (seeds, random, path) => {
      const bytes =
        random.next() < 0.4
          ? mutate(seeds, random, true)
          : JSON.stringify(mutateJson(JSON.parse(seeds[0].toString()), random));
      writeFileSync(path, bytes);
    },
    read: (path) => {
      writeFileSync(join(valid, 'checkpoint.json'), readFileSync(path));
      return attempt(() => resume(valid));
    },
  },
  {
    name: 'metrics',
    extension: 'jsonl',
    seeds: async () => [
      Buffer.from(
        '{"kind":"train","iteration":1,"loss":1.5,"seconds":0.1,"waitSeconds":0}\n' +
          '{"kind":"evaluation","iteration":1,"robustMeanIoU":0.5,"models":[{"model":"student","heads":[{"head":"ensemble","cases":[]}]}]}\n',
      ),
    ],
    make: (seeds, random, path) => writeFileSync(path, mutate(seeds, random, true)),
    read: async (path) => {
      rmSync(`${path}.run`, { recursive: true, force: true });
      const run = RunFolder.create(config(), `${path}.run`);
      mkdirSync(run.path, { recursive: true });
      writeFileSync(run.metricsFile, readFileSync(path));
      return attempt(() => run.truncateMetrics(5));
    },
  },
];
