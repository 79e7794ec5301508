import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { m3l } from '../cli/m3l.js';
import { temporaryFolder } from '../data/fixtures.js';
import { AppWindow } from '../helpers/dev-tools.js';
import { electronFolder, packageApp } from '../helpers/electron-app.js';

const app = fileURLToPath(new URL('../../examples/electron/', import.meta.url));
const electron = await electronFolder();
const folder = temporaryFolder();

/** What electron-builder is told, as the one pattern that @electron/asar takes. */
const { build } = JSON.parse(readFileSync(join(app, 'package.json'), 'utf8'));
const unpack = `{${build.asarUnpack.join(',')}}`;

/** The pixels of a panel, as a data URL. */
const pixels = (panel: string) =>
  `document.querySelector('#panels figure:nth-child(${panel}) canvas').toDataURL()`;
const [RGB, DEPTH, PREDICTION] = ['1', '2', '3'] as const;

describe.skipIf(electron === null)('examples/electron, packaged', () => {
  let window: AppWindow;

  beforeAll(async () => {
    const run = join(folder, 'run');
    const short = 'iterations=30 batch.labelled=2 batch.unlabelled=1 workers=0 evaluate.samples=0';
    const few = 'data.rooms.labelled=4 data.rooms.unlabelled=4 data.rooms.val=2';
    const sets = `${short} ${few}`.split(' ').flatMap((set) => ['--set', set]);
    const trained = await m3l(['train', 'rooms-demo', '--out', run, ...sets]);
    expect(trained.stderr, trained.stderr).not.toMatch(/M3L_/);
    const out = join(folder, 'packaged');
    const program = await packageApp({ electron: electron!, app, out, unpack });
    const { LIBTORCH: _, M3L_ADDON_DIR: __, ...env } = process.env;
    window = new AppWindow(program, [run], {
      ...env,
      M3L_HOME: join(folder, 'home'),
      OMP_NUM_THREADS: '1',
      XDG_CONFIG_HOME: join(folder, 'config'),
    });
    await window.open();
  }, 600_000);
  afterAll(() => window?.close());

  it('01 shows a room and what is in it', async () => {
    const time = await window.until<string>("document.getElementById('milliseconds')?.value");
    expect(time).toMatch(/^\d+\.\d ms$/);
    const status = await window.evaluate<string>("document.getElementById('status').textContent");
    expect(status).toBe('room 1 of 16, seen by rgb and depth');
    expect(await window.evaluate("document.querySelectorAll('#legend li').length")).toBe(13);
  });

  it('02 predicts anew without a sensor that is switched off, and shows that it is', async () => {
    const look = async () => ({
      rgb: await window.evaluate(pixels(RGB)),
      depth: await window.evaluate(pixels(DEPTH)),
      prediction: await window.evaluate(pixels(PREDICTION)),
    });
    const both = await look();
    await window.click('input[name=depth]');
    await window.until("document.getElementById('status').textContent.endsWith('seen by rgb')");
    const without = await look();
    expect(without.rgb).toBe(both.rgb);
    expect(without.depth).toBe(both.depth);
    expect(without.prediction).not.toBe(both.prediction);
    expect(await window.evaluate("document.querySelectorAll('figure.off').length")).toBe(1);
    expect(await window.evaluate("document.querySelector('[name=rgb]').disabled")).toBe(true);

    await window.click('input[name=depth]');
    await window.until("document.getElementById('status').textContent.endsWith('rgb and depth')");
    expect(await look()).toEqual(both);
  });

  it('03 moves on to another room', async () => {
    const before = await window.evaluate(pixels(RGB));
    await window.click('#next');
    await window.until("document.getElementById('status').textContent.startsWith('room 2 ')");
    expect(await window.evaluate(pixels(RGB))).not.toBe(before);
  });

  it('04 looks like something', async () => {
    const { data, info } = await sharp(await window.screenshot())
      .removeAlpha()
      .raw()
      .toBuffer({ resolveWithObject: true });
    expect(info.width).toBeGreaterThan(1000);
    const colours = new Set<number>();
    for (let at = 0; at < data.length; at += 3) colours.add(data.readUIntBE(at, 3));
    expect(colours.size).toBeGreaterThan(500);
  });

  it('05 gives the page no Node', async () => {
    const reach = '[typeof require, typeof process, Object.keys(window.m3l).sort().join()]';
    expect(await window.evaluate(reach)).toEqual([
      'undefined',
      'undefined',
      'onStatus,predict,start',
    ]);
  });
});
