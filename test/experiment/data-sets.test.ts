import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { prepareDataSet, readList } from 'm3l/data';
import { checkData, RunFolder, resolveConfig, train } from 'm3l/experiment';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../data/fixtures.js';
import {
  deliver,
  mfnet,
  nyuExport,
  nyuMatlab,
  stanford,
  stanfordNames,
  sunExport,
  sunToolbox,
} from '../data/sets/raw-sets.js';
import { shared } from '../helpers/shared.js';

const folder = temporaryFolder();
let made = 0;

/** What makes an experiment of the package small enough for a test. */
const SMALL = [
  'device=cpu',
  'precision=float32',
  'model.backbone=mit-b0',
  'data.crop=32',
  'data.evaluationSize=[48,64]',
  'batch.labelled=1',
  'batch.unlabelled=1',
  'iterations=2',
  'evaluate.every=2',
  'evaluate.samples=0',
  'checkpoint.every=0',
  'workers=0',
  'threads=1',
];

interface Round {
  set: string;
  config: string;
  raw: (root: string) => unknown;
  sets?: string[];
}

const ROUNDS: Record<string, Round> = {
  'Stanford 2D-3D-S': {
    set: 'stanford-indoor',
    config: 'stanford-indoor',
    raw: (root) => stanford(root, stanfordNames()),
  },
  'SUN RGB-D in MATLAB files': { set: 'sun-rgbd', config: 'sun-rgbd', raw: sunToolbox },
  'SUN RGB-D as it is exported, in four sizes, at their own': {
    set: 'sun-rgbd',
    config: 'sun-rgbd',
    raw: (root) => sunExport(root, [...Array(40).keys()].slice(1)),
    sets: ['framework.fidelity=default', 'data.evaluationSize=null'],
  },
  'NYU Depth v2 in MATLAB files': { set: 'nyuv2', config: 'nyuv2', raw: nyuMatlab },
  'NYU Depth v2 as PNGs, 13 classes': { set: 'nyuv2', config: 'nyuv2-13', raw: nyuExport },
  'DELIVER, four modalities': { set: 'deliver', config: 'deliver', raw: deliver },
  'DELIVER, two of its modalities': {
    set: 'deliver',
    config: 'deliver',
    raw: deliver,
    sets: ['data.modalities.lidar=null', 'data.modalities.event=null'],
  },
  'MFNet, two modalities of one file': { set: 'mfnet', config: 'mfnet', raw: mfnet },
};

describe('data sets from their raw layouts to a trained model', () => {
  it.each(Object.entries(ROUNDS))('%s', async (_, { set, config: name, raw: write, sets = [] }) => {
    const [raw, out] = [join(folder, `raw-${made}`), join(folder, `out-${made++}`)];
    mkdirSync(raw);
    await write(raw);
    const { problems, scenes } = await prepareDataSet({ set, raw, out });
    expect(problems).toEqual([]);
    const config = resolveConfig(name, [...SMALL, ...sets, `data.root=${out}`]);
    const { findings, splits } = await checkData({ config, workers: 0 });
    expect(findings.filter(({ level }) => level === 'error')).toEqual([]);
    expect(splits.val).toMatchObject({ scenes: scenes.val, usable: scenes.val });
    const run = RunFolder.create(config, join(folder, `run-${made}`));
    const { evaluation } = await train({ config, run, check: false });
    expect(evaluation.images).toBe(scenes.val);
    const losses = readFileSync(join(run.path, 'metrics.jsonl'), 'utf8').match(/"loss":[\d.]+/g);
    expect(losses).toHaveLength(2);
  });

  it("the paper's own lists of SUN RGB-D, as they are", async () => {
    const list = shared('data/official-lists/sunrgbd-config-val_rgbd_531_681.txt');
    if (list === null) return;
    const numbers = readList(list, { root: '/' }).map(({ name }) => Number(name.slice(-10, -4)));
    const [raw, out] = [join(folder, 'official-raw'), join(folder, 'official-out')];
    await sunExport(raw, numbers);
    await prepareDataSet({ set: 'sun-rgbd', raw, out });
    const config = resolveConfig('sun-rgbd', [
      ...[...SMALL, `data.root=${out}`, `data.lists.labelled=${list}`],
      ...[`data.lists.unlabelled=${list}`, `data.lists.val={file: ${list}, count: 2}`],
    ]);
    const { findings, splits } = await checkData({ config, workers: 0 });
    expect(findings.filter(({ level }) => level === 'error')).toEqual([]);
    expect(splits.labelled?.usable).toBe(numbers.length);
  });
});
