import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { readGrey } from 'm3l/data';
import {
  type Fault,
  type ImagePredictor,
  openPredictor,
  type PredictStreamOptions,
  predictStream,
  type StreamPrediction,
} from 'm3l/experiment';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { frameFormat, imageOf } from '../../dist/experiment/stream/frame-format.js';
import { frameSplitter } from '../../dist/experiment/stream/frame-splitter.js';
import { type TinyRun, tinyRun } from '../helpers/tiny-run.js';

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const [WIDTH, HEIGHT] = [52, 36];
const raw = { rgb: `rgb24:${WIDTH}x${HEIGHT}`, depth: `gray16le:${WIDTH}x${HEIGHT}` };

let tiny: TinyRun;
let predictor: ImagePredictor;
/** One frame of each sensor, of scene 0. */
const frame: Record<'rgb' | 'depth', Buffer> = { rgb: Buffer.alloc(0), depth: Buffer.alloc(0) };

const file = (name: string, ...frames: Buffer[]) => {
  const path = join(tiny.folder, name);
  writeFileSync(path, Buffer.concat(frames));
  return path;
};
const times = (count: number, one: Buffer) => Array<Buffer>(count).fill(one);

beforeAll(async () => {
  tiny = await tinyRun();
  predictor = await openPredictor(tiny.run);
  frame.rgb = await sharp(tiny.image('rgb')).removeAlpha().raw().toBuffer();
  const { data } = await readGrey(join(tiny.folder, 'rooms/depth/val_000000.png'));
  frame.depth = Buffer.from(new Uint16Array(data).buffer);
}, 180_000);
afterAll(async () => {
  await predictor.close();
  tiny.remove();
});

type Told = [name: string, fault: Fault | null];

async function collected(options: PredictStreamOptions) {
  const told: Told[] = [];
  const onSensor = (name: string, fault: Fault | null) => told.push([name, fault]);
  const found: StreamPrediction[] = [];
  for await (const one of predictStream(predictor, { onSensor, ...options })) found.push(one);
  return { found, told, missing: found.map(({ prediction }) => prediction.missing.join()) };
}

describe('predictStream', () => {
  test('01 goes on from the others where a sensor dies half-way', async () => {
    const sources = {
      rgb: file('rgb.raw', ...times(6, frame.rgb)),
      depth: file('depth.raw', ...times(3, frame.depth), frame.depth.subarray(0, 100)),
    };
    const { found, told, missing } = await collected({ sources, frames: raw });
    expect(missing).toEqual(['', '', '', 'depth', 'depth', 'depth']);
    expect(told).toEqual([['depth', 'ended']]);
    const images = { rgb: tiny.image('rgb'), depth: tiny.image('depth') };
    const [both, alone] = [
      await predictor.predict(images),
      await predictor.predict({ rgb: images.rgb }),
    ];
    expect(found[0]!.prediction.classes).toEqual(both.classes);
    expect(found[5]!.prediction.classes).toEqual(alone.classes);
    expect(found[5]!.faults).toEqual({ depth: 'ended' });
    expect(found[5]!.sensors.rgb).toEqual({ frames: 6, dropped: 0 });
  });

  test('02 sees a sensor that goes black, and that it is back', async () => {
    const black = Buffer.alloc(frame.rgb.length, 2);
    const sources = {
      rgb: file('rgb.raw', frame.rgb, black, black, frame.rgb),
      depth: file('depth.raw', ...times(4, frame.depth)),
    };
    const { told, missing } = await collected({ sources, frames: raw });
    expect(missing).toEqual(['', 'rgb', 'rgb', '']);
    expect(told).toEqual([
      ['rgb', 'constant'],
      ['rgb', null],
    ]);
  });

  test('03 reads JPEGs however they are cut, thumbnails in them, and leaves damaged ones out', async () => {
    const jpeg = await sharp(tiny.image('rgb')).jpeg().toBuffer();
    const progressive = await sharp(tiny.image('rgb', 1)).jpeg({ progressive: true }).toBuffer();
    // A thumbnail in a segment of the application's ends as a picture does.
    const thumbnail = Buffer.concat([
      Buffer.from([0xff, 0xe5, 0, 8]),
      Buffer.from('\xff\xd8..\xff\xd9', 'latin1'),
    ]);
    const within = Buffer.concat([jpeg.subarray(0, 2), thumbnail, jpeg.subarray(2)]);
    const damaged = Buffer.from('\xff\xd8\xff\xc0\0\x04\0\0\xff\xd9', 'latin1');
    const noise = Buffer.from('--boundary\r\n');
    const sources = {
      rgb: file(
        'rgb.mjpeg',
        noise,
        jpeg,
        progressive,
        noise,
        within,
        damaged,
        jpeg,
        jpeg.subarray(0, 50),
      ),
      depth: file('depth.raw', ...times(5, frame.depth)),
    };
    const { missing, told, found } = await collected({ sources, frames: { depth: raw.depth } });
    expect(missing).toEqual(['', '', '', 'rgb', '']);
    expect(told.slice(0, 2)).toEqual([
      ['rgb', 'unreadable'],
      ['rgb', null],
    ]);
    expect(found[2]!.prediction.classes).toEqual(found[0]!.prediction.classes);
  });

  test('04 refuses what it cannot read, by code', async () => {
    const rgb = file('rgb.raw', frame.rgb);
    const code = (options: PredictStreamOptions) =>
      collected(options).then(
        () => 'done',
        (error) => error.code,
      );
    expect(await code({ sources: { rgbb: rgb } })).toBe('M3L_MISSING_MODALITY');
    expect(await code({ sources: { rgb }, frames: { rgb: 'rgb42:5x5' } })).toBe(
      'M3L_STREAM_FORMAT',
    );
    expect(await code({ sources: { rgb }, frames: { rgb: 'rgb24:0x5' } })).toBe(
      'M3L_STREAM_FORMAT',
    );
    expect(await code({ sources: { rgb: join(tiny.folder, 'none') } })).toBe('M3L_STREAM_SOURCE');
    expect(await code({ sources: { rgb: '-', depth: '-' } })).toBe('M3L_STREAM_SOURCE');
    expect(await code({ sources: {} })).toBe('M3L_STREAM_SOURCE');
    const small = file('depth.raw', Buffer.from(frame.depth.subarray(0, 2 * 30 * 30)));
    const frames = { rgb: raw.rgb, depth: 'gray16le:30x30' };
    expect(await code({ sources: { rgb, depth: small }, frames })).toBe('M3L_SIZE_MISMATCH');
  });

  test('05 says what came where that is no frame, or no whole one', async () => {
    const reasons = async (format: string | null, ...bytes: Buffer[]) => {
      const told: string[] = [];
      const onSensor = (
        ...[, fault, frames, reason]: [string, Fault | null, number, string | null]
      ) => told.push([fault, frames, reason].join(' '));
      const sources = { rgb: file('rgb.raw', ...bytes) };
      await collected({ sources, frames: format === null ? {} : { rgb: format }, onSensor });
      return told;
    };
    const { rgb } = frame;
    const whole = 'rgb24:52x36, 52 × 36 × 3 = 5616 bytes';
    expect(await reasons(raw.rgb, rgb)).toEqual([]);
    expect(await reasons(raw.rgb, rgb.subarray(0, 100))).toEqual([
      `ended 0 100 bytes came, expected at least one frame (${whole}); another size is said by --frames rgb=rgb24:WIDTHxHEIGHT`,
    ]);
    expect(await reasons(raw.rgb, rgb, rgb.subarray(0, 7))).toEqual([
      expect.stringMatching(/^ended 1 the last 7 bytes are no whole frame .*cut off; another size/),
    ]);
    expect(await reasons(null, rgb)).toEqual([
      expect.stringMatching(/^ended 0 5616 bytes came, .*JPEG.*raw pixels want their size/),
    ]);
    expect(await reasons(null)).toEqual(['ended 0 nothing came']);
    // Without an end it is read to a bound, and no further.
    const endless = Buffer.alloc(65 << 20, 1);
    endless.write('\xff\xd8\xff\xda\0\x02', 'latin1');
    expect(await reasons(null, endless)).toEqual([
      expect.stringMatching(/^ended 0 found \d+ bytes without the end of a JPEG/),
    ]);
  });

  test('06 copies no more of a frame than it must', () => {
    const bytes = 3 * 640 * 480;
    const format = frameFormat('rgb24:640x480');
    const chunk = Buffer.allocUnsafeSlow(bytes);
    const [same] = frameSplitter(format).push(chunk);
    expect(same!.buffer).toBe(chunk.buffer);
    const splitter = frameSplitter(format);
    const [pooled] = [...splitter.push(chunk.subarray(9)), ...splitter.push(chunk.subarray(0, 9))];
    expect(pooled!.buffer.byteLength).toBe(bytes);
    for (const pixels of ['rgb24:640x480', 'bgr24:640x480', 'gray16le:960x480']) {
      const { data } = imageOf(frameFormat(pixels), pooled!) as { data: Uint8Array };
      expect(data.buffer).toBe(pooled!.buffer);
    }
    // A large JPEG that comes in small pieces: each once, not all that came before with each.
    const jpeg = frameSplitter({ kind: 'mjpeg' });
    jpeg.push(Buffer.from('\xff\xd8\xff\xda\0\x02', 'latin1'));
    const piece = Buffer.alloc(1 << 10, 1);
    const start = performance.now();
    for (let i = 0; i < 24 << 10; i++) jpeg.push(piece);
    expect(performance.now() - start).toBeLessThan(3000);
    const [whole] = jpeg.push(Buffer.from('\xff\xd9', 'latin1'));
    expect(whole!.length).toBe((24 << 20) + 8);
  });
});

describe('m3l predict --stream', () => {
  const m3l = (...args: string[]): ChildProcess =>
    spawn(process.execPath, [main, 'predict', tiny.run, '--out', '-', ...args], {
      env: { ...process.env, NODE_OPTIONS: '', OMP_NUM_THREADS: '1' },
    });

  test('07 drops what comes too fast, tells of a pipe that falls silent, and writes classes', async () => {
    const pipe = join(tiny.folder, 'depth.pipe');
    execFileSync('mkfifo', [pipe]);
    const child = m3l(
      ...['--stream', 'rgb=-', `depth=${pipe}`, '--frames', `rgb=${raw.rgb}`, `depth=${raw.depth}`],
      ...['--write', 'classes', '--stall', '0.5'],
    );
    const written = buffer(child.stdout!);
    let notes = '';
    const silent = new Promise<void>((resolve) => {
      child.stderr!.on('data', (data) => {
        notes += data;
        if (notes.includes('depth: gives no frames')) resolve();
      });
    });
    // Held open both ways, so that opening it waits for nobody and it does not end.
    const depth = openSync(pipe, 'r+');
    writeSync(depth, frame.depth);
    const burst = Buffer.concat(times(20, frame.rgb));
    child.stdin!.on('error', () => {});
    const feed = setInterval(() => child.stdin!.writableNeedDrain || child.stdin!.write(burst), 50);
    const ended = once(child, 'exit');
    await Promise.race([silent, ended]);
    clearInterval(feed);
    child.stdin!.end();
    closeSync(depth);
    expect((await ended)[0], notes).toBe(0);
    const classes = await written;
    expect(classes.length).toBeGreaterThan(0);
    expect(classes.length % (WIDTH * HEIGHT)).toBe(0);
    const [, count, came, dropped] =
      /(\d+) frames written; rgb: (\d+) frames came, (\d+) were dropped/.exec(notes)!.map(Number);
    expect(classes.length / (WIDTH * HEIGHT)).toBe(count);
    expect(dropped).toBeGreaterThan(0);
    expect(count! + dropped!).toBeLessThanOrEqual(came! + 1);
  });

  test('08 shows it on the overlay, as MJPEG that others read', () => {
    const rgb = file('rgb.raw', ...times(4, frame.rgb));
    const depth = file('depth.raw', ...times(2, frame.depth));
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [
        ...[main, 'predict', tiny.run, '--out', '-', '--stream', 'rgb=-', `depth=${depth}`],
        ...['--frames', `rgb=${raw.rgb}`, `depth=${raw.depth}`, '--every-frame'],
      ],
      { input: readFileSync(rgb), env: { ...process.env, NODE_OPTIONS: '', OMP_NUM_THREADS: '1' } },
    );
    expect(stderr.toString()).toMatch(/depth: has ended \(after 2 frames\)/);
    expect(status).toBe(0);
    expect(stdout.readUInt16BE(0)).toBe(0xffd8);
    if (spawnSync('ffmpeg', ['-version']).error) return;
    const { stdout: pixels } = spawnSync(
      'ffmpeg',
      '-v error -f mjpeg -i - -f rawvideo -pix_fmt rgb24 -'.split(' '),
      { input: stdout },
    );
    expect(pixels.length).toBe(4 * WIDTH * HEIGHT * 3);
    // Red, behind the note, where the first frames have none.
    const corner = (at: number) => [...pixels.subarray(at * WIDTH * HEIGHT * 3).subarray(0, 3)];
    expect(corner(3)[0]! - corner(3)[1]!).toBeGreaterThan(90);
    expect(corner(0)[0]! - corner(0)[1]!).toBeLessThan(90);
  });

  test('09 tells programs of it in lines of JSON, on the output that has no frames', () => {
    const rgb = file('rgb.raw', ...times(3, frame.rgb));
    const depth = file('depth.raw', frame.depth);
    const told = (out: string, stream: 'stdout' | 'stderr') => {
      const result = spawnSync(
        process.execPath,
        [
          ...[main, 'predict', tiny.run, '--out', out, '--json', '--write', 'classes'],
          ...['--stream', `rgb=${rgb}`, `depth=${depth}`],
          ...['--frames', `rgb=${raw.rgb}`, `depth=${raw.depth}`],
        ],
        { encoding: 'utf8', env: { ...process.env, NODE_OPTIONS: '', OMP_NUM_THREADS: '1' } },
      );
      expect(result.status, result.stderr).toBe(0);
      return result[stream]
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line));
    };
    const expected = [
      { event: 'sensor', name: 'depth', fault: 'ended', frames: 1 },
      { event: 'end', written: 3 },
    ];
    expect(told(join(tiny.folder, 'found.raw'), 'stdout')).toMatchObject(expected);
    expect(told('-', 'stderr')).toMatchObject(expected);
  });
});
