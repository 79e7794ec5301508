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
import { type Room, type RoomOptions, renderRoom, writeRooms } from 'm3l/rooms';
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

  it('varied: draws its own difficulty for each room, and leaves usual rooms as they are', () => {
    const digest = ({ rgb, depth }: Room) =>
      createHash('sha256').update(rgb).update(depth).digest('hex');
    const usual = { ...size, smoothing: 1 } as const;
    const varied = { ...usual, varied: true };
    for (const seed of [3, 4]) {
      const room = renderRoom(seed, varied);
      expect(digest(room)).toBe(digest(renderRoom(seed, varied)));
      expect(digest(room)).not.toBe(digest(renderRoom(seed, usual)));
      // What is drawn takes the place of what is given.
      expect(digest(room)).toBe(digest(renderRoom(seed, { ...varied, camouflage: 1 })));
      expect(Math.max(...room.label)).toBeLessThan(13);
    }
  });

  it('varied: pictures differ more in brightness and hue than those of usual rooms', () => {
    const spread = (options: RoomOptions) => {
      const rooms = Array.from({ length: 30 }, (_, seed) => {
        const { rgb } = renderRoom(seed, { width: 32, height: 24, smoothing: 1, ...options });
        const mean = (channel: number) => {
          let sum = 0;
          for (let i = channel; i < rgb.length; i += 3) sum += rgb[i]!;
          return (3 * sum) / rgb.length;
        };
        return { brightness: mean(1), hue: mean(0) - mean(2) };
      });
      const deviation = (values: number[]) => {
        const middle = values.reduce((sum, value) => sum + value, 0) / values.length;
        return Math.sqrt(values.reduce((sum, v) => sum + (v - middle) ** 2, 0) / values.length);
      };
      return {
        brightness: deviation(rooms.map(({ brightness }) => brightness)),
        hue: deviation(rooms.map(({ hue }) => hue)),
      };
    };
    const [usual, varied] = [spread({}), spread({ varied: true })];
    expect(varied.brightness).toBeGreaterThan(1.3 * usual.brightness);
    expect(varied.hue).toBeGreaterThan(1.2 * usual.hue);
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

describe('further sensors', () => {
  const sensors = ['thermal', 'normals'] as const;

  it('leave colour, depth and label the bytes that they were before there were any', () => {
    const hash = (seed: number, options: RoomOptions) => {
      const { rgb, depth, label } = renderRoom(seed, { ...size, ...options, sensors });
      return createHash('sha256').update(rgb).update(depth).update(label).digest('hex');
    };
    expect(hash(3, {})).toBe('3119b298bcee37762e58669f9ee7601998e52bfd5db0c447678e8d767ae1fbf2');
    expect(hash(7_000_004, { camouflage: 0.1, typicalColours: 0.5, depthNoise: 0.5 })).toBe(
      '8d70200b294b9bea5e5ffd1eb548dad08de2a2b7c792d0e0c8e488f919e3b5c5',
    );
    expect(renderRoom(3, size)).not.toHaveProperty('normals');
    expect(renderRoom(3, { ...size, sensors: ['normals'] })).not.toHaveProperty('thermal');
  });

  it('give unit normals that face the camera, and a floor that faces up', () => {
    for (const depthNoise of [0, 1]) {
      const { normals, label, depth } = renderRoom(3, { ...size, depthNoise, sensors });
      let up = 0;
      let floor = 0;
      for (let i = 0; i < depth.length; i++) {
        const normal = [0, 1, 2].map((k) => normals![3 * i + k]! / 127.5 - 1) as number[];
        // Three bytes, each rounded by half a step at most.
        expect(Math.abs(Math.hypot(...normal) - 1)).toBeLessThan(Math.sqrt(3) / 255 + 1e-9);
        const [row, column] = [Math.floor(i / size.width), i % size.width];
        if (depthNoise === 0) {
          // The field of view is at most 1.45 radians: the ray through the pixel, z towards the camera.
          const ray = [column / size.width - 0.5, 0.5 - row / size.height, -0.5 / Math.tan(0.725)];
          const against = normal[0]! * ray[0]! + normal[1]! * ray[1]! + normal[2]! * ray[2]!;
          expect(against).toBeLessThan(0.2);
        }
        if (label[i] === 8) {
          floor++;
          if (normal[1]! > 0.8) up++;
        }
      }
      expect(floor).toBeGreaterThan(100);
      expect(up / floor).toBeGreaterThan(0.97);
    }
  });

  it('give the same heat for a seed, however things are painted, and tell classes by it', () => {
    const heat = (seed: number, options: RoomOptions = {}) =>
      renderRoom(seed, { ...size, smoothing: 1, sensors, ...options });
    expect(heat(3).thermal).toEqual(heat(3).thermal);
    expect(heat(3, { depthNoise: 0 }).thermal).toEqual(heat(3).thermal);
    expect(heat(3).thermal).toEqual(heat(3, { typicalColours: 1 }).thermal);
    expect(heat(4).thermal).not.toEqual(heat(3).thermal);
    // Columns and sofas against the walls of the same room, in greys.
    const contrast = { 6: [] as number[], 9: [] as number[] };
    for (let seed = 0; seed < 60; seed++) {
      const { thermal, label } = heat(seed);
      const meanOf = (wanted: number) => {
        const own = thermal!.filter((_, i) => label[i] === wanted);
        return own.length < 30 ? null : own.reduce((sum, value) => sum + value, 0) / own.length;
      };
      const wall = meanOf(11);
      for (const [name, values] of Object.entries(contrast)) {
        const own = meanOf(Number(name));
        if (own !== null && wall !== null) values.push(own - wall);
      }
    }
    const colder = contrast[6].filter((value) => value < 0).length / contrast[6].length;
    const warmer = contrast[9].filter((value) => value > 0).length / contrast[9].length;
    expect(colder).toBeGreaterThan(0.8);
    expect(warmer).toBeGreaterThan(0.7);
  });

  it('are columns of the lists, before the label', async () => {
    const counts = { labelled: 1, unlabelled: 1, val: 1, workers: 0, ...size };
    const rooms = await writeRooms(join(folder, 'sensors'), { ...counts, sensors });
    const names = ['rgb', 'depth', 'normals', 'thermal'];
    const line = (name: string, ...more: string[]) =>
      `${[...names, ...more].map((part) => `${part}/${name}.png`).join('\t')}\n`;
    expect(readFileSync(rooms.labelledList, 'utf8')).toBe(line('labelled_000000', 'label'));
    expect(readFileSync(rooms.unlabelledList, 'utf8')).toBe(line('unlabelled_000000'));
    const room = renderRoom(1_000_000, { ...size, sensors });
    const file = (part: string) => join(rooms.folder, part, 'labelled_000000.png');
    expect((await readColour(file('normals'))).data).toEqual(room.normals);
    expect((await readGrey(file('thermal'))).data).toEqual(room.thermal);
    expect((await writeRooms(rooms.folder, { ...counts, sensors })).reused).toBe(true);
    expect((await writeRooms(rooms.folder, counts)).reused).toBe(false);
    expect(existsSync(file('thermal'))).toBe(false);
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

  it('has others to test on where asked, and the same rooms beside them', async () => {
    const counts = { labelled: 1, unlabelled: 1, val: 1, ...size, workers: 0 };
    const plain = await writeRooms(join(folder, 'untested'), counts);
    const tested = await writeRooms(join(folder, 'tested'), { ...counts, test: 2 });
    expect(plain.testList).toBeNull();
    expect(existsSync(join(plain.folder, 'test.txt'))).toBe(false);
    expect(readFileSync(join(plain.folder, 'rooms.json'), 'utf8')).not.toContain('test');
    expect(readFileSync(tested.testList!, 'utf8')).toMatch(/^rgb\/test_000000\.png\t.*\n.*000001/);
    const bytes = (where: string, name: string) => readFileSync(join(where, 'rgb', `${name}.png`));
    for (const name of ['labelled_000000', 'unlabelled_000000', 'val_000000']) {
      expect(bytes(tested.folder, name).equals(bytes(plain.folder, name))).toBe(true);
      expect(bytes(tested.folder, name).equals(bytes(tested.folder, 'test_000000'))).toBe(false);
    }
    expect((await writeRooms(tested.folder, { ...counts, test: 2 })).reused).toBe(true);
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
