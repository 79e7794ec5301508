import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  DataLoader,
  ListDataset,
  readColour,
  readGrey,
  readLabels,
  STANFORD_CLASSES,
} from 'm3l/data';
import { renderRoom, writeRooms } from 'm3l/rooms';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../data/fixtures.js';

const folder = temporaryFolder();
const shared = process.env.M3L_SHARED ?? join(import.meta.dirname, '../../../shared');
const size = { width: 64, height: 48 };
const modalities = [
  { name: 'rgb', kind: 'rgb' },
  { name: 'depth', kind: 'depth' },
] as const;

describe('renderRoom', () => {
  it('gives the same bytes for the same seed, and others for another', () => {
    const hash = (seed: number) => {
      const { rgb, depth, label } = renderRoom(seed, size);
      return createHash('sha256').update(rgb).update(depth).update(label).digest('hex');
    };
    expect(hash(3)).toBe(hash(3));
    expect(hash(3)).not.toBe(hash(4));
  });

  it('shows every class in more than 5 % of the rooms, and mostly walls and floor', () => {
    const rooms = 150;
    const images = new Array<number>(13).fill(0);
    const pixels = new Array<number>(13).fill(0);
    for (let seed = 0; seed < rooms; seed++) {
      const { label } = renderRoom(seed, { ...size, smoothing: 1 });
      const seen = new Array<number>(13).fill(0);
      for (const value of label) seen[value]!++;
      for (const [k, n] of seen.entries()) {
        pixels[k]! += n;
        if (n > 10) images[k]!++;
      }
    }
    const share = (k: number) => pixels[k]! / (rooms * size.width * size.height);
    for (const [k, name] of STANFORD_CLASSES.names.entries()) {
      expect(images[k]! / rooms, name).toBeGreaterThan(0.15);
      expect(share(k), name).toBeGreaterThan(0.005);
    }
    expect(share(11)).toBeLessThan(0.6);
  });

  it('senses depth in millimetres, with noise that grows with distance and a few holes', () => {
    for (let seed = 0; seed < 20; seed++) {
      const exact = renderRoom(seed, { ...size, depthNoise: 0, smoothing: 1 });
      const sensed = renderRoom(seed, { ...size, smoothing: 1 });
      expect(sensed.label).toEqual(exact.label);
      let holes = 0;
      sensed.depth.forEach((value, i) => {
        const truth = exact.depth[i]!;
        expect(truth).toBeGreaterThan(50);
        expect(truth).toBeLessThan(12_000);
        if (value === 0) holes++;
        else {
          const sigma = 1.2 + 1.9 * (truth / 1000 - 0.4) ** 2;
          expect(Math.abs(value - truth)).toBeLessThan(6 * sigma + 1);
        }
      });
      expect(holes / sensed.depth.length).toBeLessThan(0.35);
    }
  });

  it('hides boards, doors and windows from the depth sensor: they lie in the plane of the wall', () => {
    const flat = new Set([1, 7, 11, 12]);
    let borders = 0;
    let jumps = 0;
    for (let seed = 0; seed < 40; seed++) {
      const { depth, label } = renderRoom(seed, { ...size, depthNoise: 0, smoothing: 1 });
      for (let i = 1; i < label.length - 1; i++) {
        const [a, b] = [label[i - 1]!, label[i]!];
        if (i % size.width < 2 || a === b || !flat.has(a) || !flat.has(b)) continue;
        borders++;
        // Along a plane the inverse depth is linear: its second difference vanishes.
        const bend = Math.abs(
          1 / depth[i - 2]! - 1 / depth[i - 1]! - 1 / depth[i - 1]! + 1 / depth[i]!,
        );
        if (bend * depth[i]! > 0.02) jumps++;
      }
    }
    expect(borders).toBeGreaterThan(300);
    expect(jumps / borders).toBeLessThan(0.15);
  });

  it('covers the pictures with colour: neither black nor washed out', () => {
    for (let seed = 0; seed < 20; seed++) {
      const { rgb } = renderRoom(seed, size);
      const mean = rgb.reduce((sum, value) => sum + value, 0) / rgb.length;
      expect(mean).toBeGreaterThan(50);
      expect(mean).toBeLessThan(215);
    }
  });
});

describe('writeRooms', () => {
  const options = { labelled: 3, unlabelled: 2, val: 2, seed: 9, ...size };

  it('writes what renderRoom gives, in the normal list format', async () => {
    const progress: number[] = [];
    const rooms = await writeRooms(join(folder, 'a'), {
      ...options,
      workers: 0,
      onProgress: (done) => progress.push(done),
    });
    expect(rooms.reused).toBe(false);
    expect(progress).toEqual([1, 2, 3, 4, 5, 6, 7]);
    const set = ListDataset.fromList(rooms.labelledList, {
      root: rooms.folder,
      modalities,
      numClasses: 13,
    });
    expect(set.length).toBe(3);
    const room = renderRoom(9_000_001, size);
    const { files, label } = set.samples[1]!;
    expect((await readColour(files[0]!)).data).toEqual(room.rgb);
    expect((await readGrey(files[1]!)).data).toEqual(room.depth);
    expect((await readLabels(label!)).data).toEqual(room.label);
    const unlabelled = ListDataset.fromList(rooms.unlabelledList, {
      root: rooms.folder,
      modalities,
    });
    expect([unlabelled.length, unlabelled.labelled]).toEqual([2, false]);
    expect(JSON.parse(readFileSync(join(rooms.folder, 'classes.json'), 'utf8')).names).toHaveLength(
      13,
    );
  });

  it('gives the same files with workers, and leaves rooms that are there already', async () => {
    const rooms = await writeRooms(join(folder, 'b'), { ...options, workers: 2 });
    for (const part of ['rgb/labelled_000002', 'depth/val_000001', 'label/val_000000']) {
      const [a, b] = ['a', 'b'].map((name) => readFileSync(join(folder, name, `${part}.png`)));
      expect(a!.equals(b!)).toBe(true);
    }
    expect((await writeRooms(rooms.folder, options)).reused).toBe(true);
    expect((await writeRooms(rooms.folder, { ...options, val: 1, workers: 0 })).reused).toBe(false);
    expect(existsSync(join(rooms.folder, 'rgb/val_000001.png'))).toBe(false);
  });

  it('refuses a folder of other things, and leaves nothing behind when aborted', async () => {
    writeFileSync(join(folder, 'mine.txt'), 'precious');
    await expect(writeRooms(folder, options)).rejects.toMatchObject({ code: 'M3L_ROOMS_FOLDER' });
    const controller = new AbortController();
    const target = join(folder, 'c');
    const stopped = writeRooms(target, {
      ...options,
      workers: 0,
      signal: controller.signal,
      onProgress: () => controller.abort(new Error('enough')),
    });
    await expect(stopped).rejects.toThrow('enough');
    expect(existsSync(target)).toBe(false);
  });
});

const potholes = join(shared, 'data/potholes');
if (!existsSync(potholes)) console.warn(`skipped: the potholes are not at ${potholes}`);

describe.skipIf(!existsSync(potholes))('potholes', () => {
  it('loads every training scene at half size', async () => {
    const { readNames } = await import('m3l/data');
    const { torch } = await import('m3l');
    const samples = readNames(join(potholes, 'train.txt'), {
      root: potholes,
      files: ['rgb/{name}', 'disp16/{name}'],
      label: 'label/{name}',
    });
    expect(samples).toHaveLength(48);
    const set = new ListDataset({ samples, modalities, numClasses: 2, resize: [144, 240] });
    const transform = { kind: 'training', crop: [128, 128] } as const;
    const loader = new DataLoader(set, { transform, batchSize: 8, workers: 1 });
    for await (const { modalities: inputs, labels, valid } of loader) {
      torch.scope(() => {
        expect(inputs[0]!.shape).toEqual([8, 3, 128, 128]);
        expect(inputs[1]!.min().item()).toBeGreaterThanOrEqual(0);
        expect(inputs[1]!.max().item()).toBeLessThanOrEqual(1);
      });
      const values = new Set(labels!.toTypedArray() as BigInt64Array);
      expect([...values].every((v) => v === 0n || v === 1n || v === 255n)).toBe(true);
      torch.dispose([...inputs, labels, valid]);
    }
    await loader.close();
  });
});
