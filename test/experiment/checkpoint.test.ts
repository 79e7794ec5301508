import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { torch } from 'm3l';
import {
  checkConfig,
  checkSameModel,
  createNetworks,
  disposeNetworks,
  findCheckpoint,
  loadCheckpoint,
  loadNetworks,
  recordScore,
  saveCheckpoint,
} from 'm3l/experiment';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'm3l-checkpoint-'));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const config = checkConfig({
  data: { rooms: {} },
  model: { backbone: 'mit-b0' },
  framework: 'supervised',
});

function save(place: string, iteration: number, score: number | null = null): string {
  return torch.scope(() =>
    saveCheckpoint(
      place,
      {
        iteration,
        config,
        tensors: {
          'student.weight': torch.full([2, 3], iteration),
          'optimizer.0.step': torch.tensor(iteration),
        },
        meta: { groups: [{ lr: 0.5 }] },
        score,
      },
      { keep: 2 },
    ),
  );
}

describe('checkpoints', () => {
  it('01 come back as they were saved', () => {
    const place = join(folder, 'round');
    save(place, 7);
    torch.scope(() => {
      const found = loadCheckpoint(findCheckpoint(place, 'latest')!);
      expect(found.iteration).toBe(7);
      expect(found.config).toEqual(config);
      expect(found.meta).toEqual({ groups: [{ lr: 0.5 }] });
      expect(found.tensors['student.weight']).toBeCloseToTensor([
        [7, 7, 7],
        [7, 7, 7],
      ]);
      expect(found.tensors['optimizer.0.step']!.item()).toBe(7);
      const models = loadCheckpoint(findCheckpoint(place, 'latest')!, { modelOnly: true });
      expect(Object.keys(models.tensors)).toEqual(['student.weight']);
    });
  });

  it('02 keep the latest few and the best', () => {
    const place = join(folder, 'kept');
    for (const iteration of [1, 2, 3, 4]) save(place, iteration, iteration === 2 ? 0.5 : 0.4);
    expect(findCheckpoint(place, 'latest')).toMatch(/step-0000004$/);
    expect(findCheckpoint(place, 'best')).toMatch(/step-0000002$/);
    torch.scope(() => {
      expect(loadCheckpoint(join(place, 'step-0000003')).iteration).toBe(3);
    });
    expect(() => torch.scope(() => loadCheckpoint(join(place, 'step-0000001')))).toThrow(
      /cannot be read/,
    );
  });

  it('03 are the best by their own scores, the earliest of equals, the latest without any', () => {
    const place = join(folder, 'scores');
    expect(findCheckpoint(place, 'latest')).toBeNull();
    expect(findCheckpoint(place, 'best')).toBeNull();
    const first = save(place, 1);
    const second = save(place, 2);
    expect(findCheckpoint(place, 'best')).toBe(second);
    recordScore(first, 0.5);
    expect(findCheckpoint(place, 'best')).toBe(first);
    recordScore(second, 0.5);
    expect(findCheckpoint(place, 'best')).toBe(first);
    // A score once given stays.
    recordScore(first, 0.1);
    expect(findCheckpoint(place, 'best')).toBe(first);
    torch.scope(() => expect(loadCheckpoint(second).score).toBe(0.5));
  });

  it('04 tell when they are damaged, and name another', () => {
    const place = join(folder, 'damaged');
    save(place, 1);
    const path = save(place, 2);
    const file = join(path, 'model.safetensors');
    writeFileSync(file, readFileSync(file).subarray(0, 20));
    expect(() => torch.scope(() => loadCheckpoint(path))).toThrow(
      /step-0000002 cannot be read.*Remove it to use step-0000001/,
    );
  });

  it('05 tell in what another model differs', () => {
    const other = checkConfig({ data: { rooms: {} }, model: { backbone: 'mit-b1' } });
    expect(() => checkSameModel('run', config, config)).not.toThrow();
    expect(() => checkSameModel('run', config, other)).toThrow(
      /model\.backbone is mit-b0 there, mit-b1 is wanted; model\.maskToken is false there, true/,
    );
    const change = (model: object) => ({ ...config, model: { ...config.model, ...model } });
    expect(() => checkSameModel('run', config, change({ dropout: 0.3 }))).toThrow(
      /model\.dropout is 0.1 there, 0.3 is wanted\. Use/,
    );
    expect(() => checkSameModel('run', config, change({ pretrained: '/a' }))).not.toThrow();
    // Of one checkpoint either ensemble can be asked for.
    expect(() => checkSameModel('run', config, change({ ensemble: 'all' }))).not.toThrow();
    // Saved before the option was there.
    expect(() => checkSameModel('run', change({ fusionRatio: undefined }), config)).not.toThrow();
  });

  it('06 make the networks that were saved', () => {
    const place = join(folder, 'networks');
    const networks = createNetworks(config, 13);
    torch.scope(() => {
      const tensors = Object.fromEntries(
        Object.entries(networks.student!.stateDict()).map(([name, tensor]) => [
          `student.${name}`,
          tensor,
        ]),
      );
      const checkpoint = { iteration: 1, config, tensors, meta: null, score: null };
      saveCheckpoint(place, checkpoint, { keep: 1 });
    });
    const path = findCheckpoint(place, 'latest')!;
    const loaded = loadNetworks(path, { ...config, seed: 99 }, 13);
    torch.scope(() => {
      const weight = (name: string) => networks.student!.stateDict()[name]!;
      expect(loaded.networks.student!.stateDict().alpha).toBeCloseToTensor(weight('alpha'));
      const name = 'decoder.linear_pred.weight';
      expect(loaded.networks.student!.stateDict()[name]).toBeCloseToTensor(weight(name));
    });
    disposeNetworks(loaded.networks);
    expect(() => loadNetworks(path, config, 5)).toThrow(
      /checkpoint of another model.*linear_pred/s,
    );
    disposeNetworks(networks);
  });
});
