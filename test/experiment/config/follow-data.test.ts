import { describe, expect, it } from 'vitest';
import {
  completed,
  type DataFacts,
  followData,
} from '../../../dist/experiment/config/follow-data.js';
import { configFolder, ROOMS } from './files.js';

const folder = configFolder();

const FACTS: DataFacts = { labelled: 6, unlabelled: 42, images: 48, size: [288, 480] };

const follow = (sets: string[] = [], facts: Partial<DataFacts> = {}) =>
  followData(folder.read(ROOMS, sets), { ...FACTS, ...facts });

describe('followData', () => {
  it('01 chooses what is open, and says what', () => {
    const { config, chosen } = follow();
    expect(config.data).toMatchObject({
      crop: [288, 288],
      cropMostOneClass: 0.75,
      scales: [0.75, 1, 1.5, 1.75, 2],
    });
    expect(config.optimiser).toMatchObject({ encoderLr: 6e-4, decoderLr: 1.8e-3 });
    expect([config.iterations, config.schedule.warmup, config.evaluate.every]).toEqual([
      2000, 100, 500,
    ]);
    expect(config.batch).toEqual({ labelled: 6, unlabelled: 8 });
    expect(config.model.maskTokenStd).toBe(0.02);
    expect(chosen).toContainEqual({ key: 'iterations', value: 2000, why: '48 images' });
    expect(chosen).toHaveLength(11);
  });

  it('02 leaves what is written, and follows it', () => {
    const sets = ['iterations=400', 'data.crop=[64, 128]', 'batch.labelled=2'];
    const { config, chosen } = follow(sets);
    expect(config).toMatchObject({ iterations: 400, schedule: { warmup: 20 } });
    expect(config.data).toMatchObject({ crop: [64, 128] });
    // At 1.5 a crop would show less than half of an image's height.
    expect(config.data.scales).toEqual([0.5, 0.75, 1]);
    expect(config.batch).toEqual({ labelled: 2, unlabelled: 8 });
    const keys = chosen.map(({ key }) => key);
    expect(keys).not.toContain('iterations');
    expect(keys).not.toContain('batch.labelled');
    // Nothing is open any more.
    expect(followData(config, FACTS)).toEqual({ config, chosen: [] });
  });

  it.each([
    [1, 2000],
    [232, 4500],
    [1000, 9000],
    [50_000, 15_000],
  ])('03 trains on %i images for %i iterations', (images, iterations) => {
    expect(follow([], { images }).config.iterations).toBe(iterations);
  });

  it.each([
    [[20, 30], 32],
    [[48, 64], 32],
    [[600, 500], 480],
    [[287, 900], 256],
  ] as const)('04 crops images of %j to %i', (size, side) => {
    expect(follow([], { size }).config.data.crop).toEqual([side, side]);
  });

  it.each(['model.pretrained=weights.safetensors', 'initialise=runs/a'])(
    '05 moves trained weights less: %s',
    (start) => {
      const { config } = follow([start]);
      expect(config.optimiser).toMatchObject({ encoderLr: 3e-4, decoderLr: 9e-4 });
      expect([config.schedule.warmup, config.model.maskTokenStd]).toEqual([40, 1]);
    },
  );

  it('06 takes as many as there are, and one at least', () => {
    const { batch } = follow([], { labelled: 1, unlabelled: 0 }).config;
    expect(batch).toEqual({ labelled: 1, unlabelled: 1 });
  });

  it('07 chooses nothing by the framework or the seed', () => {
    const of = (sets: string[]) => follow(sets).chosen;
    expect(of(['framework=supervised', 'seed=3'])).toEqual(of([]));
  });

  it('08 leaves the paper as it is', () => {
    const { config, chosen } = follow(['framework.fidelity=paper']);
    expect(chosen).toEqual([]);
    expect(config).toMatchObject({
      iterations: 15_370,
      schedule: { warmup: 0 },
      batch: { labelled: 16, unlabelled: 16 },
      optimiser: { encoderLr: 1e-4, decoderLr: 3e-4 },
      evaluate: { every: 0 },
      model: { maskTokenStd: 1 },
      data: { crop: [540, 540], cropMostOneClass: null, scales: [0.5, 0.75, 1, 1.5, 1.75, 2] },
    });
  });

  it('09 has what a run lacks from the paper, and what is asked of a run from the run', () => {
    const own = completed(folder.read(ROOMS, ['iterations=7', 'data.crop=96']));
    expect(own).toMatchObject({ iterations: 7, batch: { labelled: 16 } });
    const wanted = completed(folder.read(ROOMS, ['iterations=9', 'batch.labelled=2']), own);
    expect(wanted).toMatchObject({ iterations: 9, batch: { labelled: 2, unlabelled: 16 } });
    expect(wanted.data.crop).toEqual([96, 96]);
  });
});
