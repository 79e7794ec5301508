/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { torch } from 'm3l';
import { readLabels } from 'm3l/data';
import { type ImagePredictor, openPredictor } from 'm3l/experiment';
import { writeRooms } from 'm3l/rooms';
import type { ElectronApplication, Page } from 'playwright-core';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { m3l } from '../cli/m3l.js';
import { temporaryFolder } from '../data/fixtures.js';
import { electronFolder, packageApp, startApp } from '../helpers/electron-app.js';
import { handOf } from '../helpers/electron-hand.js';

// The app as somebody uses it: packaged, on a screen, with a model that was trained, and Chromium's own
// stand-in for a camera. Dialogs alone are answered by the test.

const source = fileURLToPath(new URL('../../examples/electron/', import.meta.url));
const electron = await electronFolder();
const folder = temporaryFolder();
const run = join(folder, 'run');
const images = join(folder, 'images');

/** What electron-builder is told, as the one pattern that @electron/asar takes. */
const { build } = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8'));
const unpack = `{${build.asarUnpack.join(',')}}`;

describe.skipIf(electron === null)('examples/electron, packaged', { timeout: 240_000 }, () => {
  let app: ElectronApplication;
  let page: Page;
  let close: () => Promise<void>;
  let predictor: ImagePredictor;
  let program: string;
  const faults: string[] = [];

  beforeAll(async () => {
    const short = 'iterations=30 batch.labelled=2 batch.unlabelled=1 workers=0 evaluate.samples=0';
    const few = 'data.rooms.labelled=4 data.rooms.unlabelled=4 data.rooms.val=2 threads=1';
    const sets = `${short} ${few}`.split(' ').flatMap((set) => ['--set', set]);
    const out = join(folder, 'packaged');
    const [trained, packaged] = await Promise.all([
      m3l(['train', 'rooms-demo', '--out', run, ...sets]),
      packageApp({ electron: electron!, app: source, out, unpack }),
    ]);
    expect(trained.stderr, trained.stderr).not.toMatch(/M3L_/);
    program = packaged;
    const counts = { labelled: 0, unlabelled: 0, val: 3, workers: 0 };
    await writeRooms(images, { ...counts, width: 48, height: 36, seed: 9 });
    predictor = await openPredictor(run);
    ({ app, page, close } = await start([run]));
  }, 600_000);

  async function start(args: readonly string[]) {
    const { LIBTORCH: _, M3L_ADDON_DIR: __, ...env } = process.env;
    const camera = [
      '--use-fake-device-for-media-stream=device-count=2',
      '--use-fake-ui-for-media-stream',
    ];
    const started = await startApp(program, [...camera, ...args], {
      ...env,
      M3L_HOME: join(folder, 'home'),
      XDG_CONFIG_HOME: join(folder, 'config'),
    });
    const window = await started.app.firstWindow();
    window.setDefaultTimeout(90_000);
    window.on('console', (message) => {
      if (message.type() === 'error') faults.push(message.text());
    });
    window.on('pageerror', ({ message }) => faults.push(message));
    return { ...started, page: window };
  }

  afterAll(async () => {
    await predictor?.close();
    await close?.();
    expect(faults).toEqual([]);
  });

  const hand = handOf(() => ({ app, page }));
  const { choose, press, flip, status, done, error, inaccessible, goTo } = hand;
  const { openFolder, save, canvas, pixels, kill } = hand;

  const image = (modality: string, index: number) =>
    readFileSync(join(images, modality, `val_00000${index}.png`));

  /** What the library says in this process, in the classes' colours. */
  async function expected(given: Record<string, Uint8Array>) {
    const { classes } = await predictor.predict(given);
    return Buffer.from([...classes].flatMap((index) => [...predictor.facts.colours[index]!]));
  }

  it('01 begins with rooms that the run was not trained on', async () => {
    await status('1 of 16: val_000000 · seen by rgb and depth');
    expect(await page.locator('#legend li').count()).toBe(13);
    await page.getByText(/^\d+\.\d ms a frame$/).waitFor();
  });

  it('02 shows two folders, and what the library finds in them', async () => {
    for (const modality of ['rgb', 'depth']) await openFolder(modality, join(images, modality));
    await status('1 of 3: val_000000 · seen by rgb and depth');
    const given = { rgb: image('rgb', 0), depth: image('depth', 0) };
    expect((await pixels('prediction')).equals(await expected(given))).toBe(true);
    const { data } = await predictor.picture('rgb', given.rgb);
    expect((await pixels('picture')).equals(Buffer.from(data as Uint8Array))).toBe(true);
    const [largest] = (await predictor.predict(given)).found;
    const item = page.locator('#legend li').nth(largest!.index);
    expect(await item.textContent()).toBe(`${largest!.name}${(100 * largest!.share).toFixed()} %`);
  });

  it('03 says at once what the model says without a sensor', async () => {
    const both = await pixels('prediction');
    await flip('depth');
    await status(/seen by rgb$/);
    const without = await pixels('prediction');
    expect(without.equals(await expected({ rgb: image('rgb', 0) }))).toBe(true);
    expect(without.equals(both)).toBe(false);
    await flip('rgb');
    await error('Nobody sees anything. The model needs one of its sensors: switch on rgb or depth');
    expect((await pixels('prediction')).every((value) => value === 0)).toBe(true);
    await press('Export…');
    await error('There is no prediction to export');
    await flip('depth');
    await status(/seen by depth$/);
    expect(await page.getByRole('alert').count()).toBe(0);
    expect((await pixels('prediction')).equals(await expected({ depth: image('depth', 0) }))).toBe(
      true,
    );
    // The keyboard's way back.
    await page.locator('body').press('1');
    await status(/seen by rgb and depth$/);
    expect((await pixels('prediction')).equals(both)).toBe(true);
  });

  it('04 goes through frames and layers', async () => {
    await page.locator('body').press('ArrowRight');
    await status(/^2 of 3: val_000001/);
    const rgb = await pixels('picture');
    await page.getByRole('radio', { name: 'depth' }).check();
    await expect.poll(async () => (await pixels('picture')).equals(rgb)).toBe(false);
    await page.getByRole('slider', { name: 'prediction' }).fill('25');
    const opacity = () => page.locator('#prediction').evaluate((e) => getComputedStyle(e).opacity);
    expect(await opacity()).toBe('0.25');
    await press('Play');
    await status(/^3 of 3/);
    await press('Pause');
    await press('Previous');
    await page.getByRole('radio', { name: 'rgb' }).check();
  });

  it('05 exports what it shows, and all of it', async () => {
    await flip('depth');
    await status(/seen by rgb$/);
    const [name] = /val_00000\d/.exec((await page.locator('#status').textContent())!)!;
    const given = { rgb: readFileSync(join(images, 'rgb', `${name}.png`)) };
    const found = await predictor.predict(given, { outputs: ['overlay'] });
    const same = (data: ArrayLike<number | bigint>) =>
      expect(Buffer.from(data as Uint8Array).equals(Buffer.from(found.classes))).toBe(true);

    await save('palette', join(folder, 'palette.png'));
    await done(`wrote ${join(folder, 'palette.png')}`);
    same((await readLabels(join(folder, 'palette.png'))).data);
    await save('overlay', join(folder, 'overlay.png'));
    await done(`wrote ${join(folder, 'overlay.png')}`);
    expect(readFileSync(join(folder, 'overlay.png')).equals(found.overlay!)).toBe(true);
    await save('classes', join(folder, 'classes.npy'));
    await done(`wrote ${join(folder, 'classes.npy')}`);
    torch.scope(() => {
      const stored = torch.load(join(folder, 'classes.npy')) as torch.Tensor;
      expect([stored.dtype, stored.shape]).toEqual(['uint8', [36, 48]]);
      same(stored.toTypedArray());
    });

    const all = join(folder, 'all');
    mkdirSync(all);
    await save('all', all);
    await done(`wrote 3 of 3 to ${all}`);
    expect(readdirSync(all).sort()).toEqual([0, 1, 2].map((index) => `val_00000${index}.png`));
    same((await readLabels(join(all, `${name}.png`))).data);
    // Whoever names the folder of the images by mistake keeps them.
    await save('all', join(images, 'rgb'));
    await error(/wrote 0 of 3 .*EEXIST/);
    expect(readFileSync(join(images, 'rgb', `${name}.png`)).equals(given.rgb)).toBe(true);
    await save('palette', join(folder, 'none', 'palette.png'));
    await error(/ENOENT/);
    await choose(null);
    await press('Export…');
    await page.getByRole('alert').waitFor({ state: 'hidden' });
  });

  it('06 stops exporting all of it where somebody says so, and tells what there is by then', async () => {
    const [many, part] = ['many', 'part'].map((name) => join(folder, name)) as [string, string];
    for (const path of [many, part]) mkdirSync(path);
    const COUNT = 400;
    for (let i = 0; i < COUNT; i++) {
      copyFileSync(join(images, 'rgb/val_000000.png'), join(many, `frame_${i}.png`));
    }
    await press('Remove the folder of depth');
    await openFolder('rgb', many);
    await status(/^1 of 400: /);
    await save('all', part);
    await page
      .locator('#activity')
      .getByText(/^exporting: \d+ of 400$/)
      .waitFor();
    const progress = page.getByRole('progressbar', { name: 'How far it is' });
    expect(await progress.getAttribute('max')).toBe('400');
    await expect.poll(() => readdirSync(part).length).toBeGreaterThan(2);
    await press('Stop the export');
    const told = page.locator('#activity').getByText(/^stopped: wrote \d+ of 400 to /);
    await told.waitFor();
    const count = Number(/wrote (\d+)/.exec((await told.textContent())!)![1]);
    const written = readdirSync(part);
    expect([written.length, count < COUNT]).toEqual([count, true]);
    const { classes } = await predictor.predict({ rgb: image('rgb', 0) });
    for (const name of written) {
      const { data } = await readLabels(join(part, name));
      expect(Buffer.from(data as Uint8Array).equals(Buffer.from(classes))).toBe(true);
    }
    expect(await progress.isVisible()).toBe(false);
    expect(await page.getByRole('button', { name: 'Export…' }).isVisible()).toBe(true);
    for (const modality of ['rgb', 'depth']) await openFolder(modality, join(images, modality));
    await status(/of 3: /);
  });

  it('07 takes a camera for each sensor, as somebody chooses, and sees one die', async () => {
    const card = (modality: string) => page.locator('#sensors li', { hasText: modality });
    const says = (modality: string, text: string | RegExp) =>
      card(modality).locator('.source').getByText(text).waitFor();
    const choice = page.getByLabel('Which camera for depth');
    await choice.selectOption('fake_device_1');
    for (const modality of ['rgb', 'depth']) await press(`Camera for ${modality}`);
    await says('rgb', 'fake_device_0');
    if (!(await page.getByRole('switch', { name: 'depth' }).isChecked())) await flip('depth');
    await says('depth', 'fake_device_1');
    await status(/^seen by rgb and depth · \d+\.\d a second, \d+ dropped · \d+\.\d a second/);
    expect(await inaccessible()).toEqual([]);

    // Both go at once where the process that reads cameras dies, which is then started anew.
    await kill(/video_capture/);
    await says('rgb', 'dead: its camera has gone');
    await says('rgb', 'fake_device_0');
    await status(/^seen by rgb and depth · /);
    for (const modality of ['rgb', 'depth']) await press(`Stop the camera of ${modality}`);

    await page.reload();
    await status(/of 16: /);
    const chosen = () =>
      choice.evaluate((select) => (select as HTMLSelectElement).selectedOptions[0]!.text);
    expect(await chosen()).toBe('fake_device_1');
    for (const modality of ['rgb', 'depth']) await openFolder(modality, join(images, modality));
    await flip('depth');
    await status(/of 3: .* seen by rgb$/);
  });

  it('08 takes a camera, and drops frames that it cannot keep up with', async () => {
    await press('Camera for rgb');
    await status(/^seen by rgb · \d+\.\d a second, \d+ dropped$/);
    const before = await canvas('picture');
    await expect.poll(() => canvas('picture')).not.toBe(before);
    // Chromium's camera has 20 frames a second, and a window of ten seconds ago would be of no use.
    const dropped = async () =>
      Number(/(\d+) dropped/.exec((await page.locator('#status').textContent())!)![1]);
    await app.evaluate(() => {
      const until = performance.now() + 1000;
      while (performance.now() < until);
    });
    await expect.poll(dropped).toBeGreaterThan(10);
    expect(await inaccessible()).toEqual([]);
    await save('overlay', join(folder, 'camera.png'));
    await expect.poll(() => readdirSync(folder)).toContain('camera.png');
    expect(await sharp(join(folder, 'camera.png')).metadata()).toMatchObject({ width: 640 });
    await press('Stop the camera of rgb');
    await status(/of 3: .* seen by rgb$/);
    await flip('depth');
    await status(/seen by rgb and depth$/);
  });

  it('09 says what is wrong with folders, images and runs, and goes on', async () => {
    const empty = join(folder, 'empty');
    mkdirSync(empty);
    await openFolder('depth', empty);
    await error(/found no image in .*empty; expected PNG/);

    const other = join(folder, 'other');
    mkdirSync(other);
    copyFileSync(join(images, 'depth/val_000000.png'), join(other, 'val_000000.png'));
    copyFileSync(join(images, 'depth/val_000001.png'), join(other, 'else.png'));
    writeFileSync(join(other, 'val_000002.png'), image('depth', 2).subarray(0, 200));
    await openFolder('depth', other);
    await error(/2 of 4 frames lack an image of rgb or depth/);
    await goTo('else');
    await status(/else · seen by depth$/);
    await goTo('val_000001');
    await status(/val_000001 · seen by rgb$/);
    await goTo('val_000002');
    await error(/other\/val_000002\.png: .* Switch depth off to go on without it/s);
    await flip('depth');
    await status(/val_000002 · seen by rgb$/);
    await flip('depth');
    await press('Remove the folder of depth');
    await status(/val_000002 · seen by rgb$/);

    const half = join(folder, 'half');
    mkdirSync(half);
    copyFileSync(join(run, 'config.yaml'), join(half, 'config.yaml'));
    await choose(half);
    await press('Open run…');
    await error(/half.*checkpoint/);
    await openFolder('depth', join(images, 'depth'));
    await status(/val_000002 · seen by rgb and depth$/);
  });

  it('10 outlives the process that predicts', async () => {
    await kill(/^predictor$/);
    await press('Next');
    await error(/The predictor stopped|no run is open/);
    await choose(run);
    await press('Open run…');
    await status('1 of 16: val_000000 · seen by rgb and depth');
    expect(await page.getByRole('alert').count()).toBe(0);
  });

  it.each(['light', 'dark'] as const)('11 is there for everybody, %s', async (colorScheme) => {
    await page.emulateMedia({ colorScheme });
    expect(await inaccessible()).toEqual([]);
    const { data } = await sharp(await page.screenshot())
      .removeAlpha()
      .raw()
      .toBuffer({ resolveWithObject: true });
    const colours = new Set<number>();
    for (let at = 0; at < data.length; at += 3) colours.add(data.readUIntBE(at, 3));
    expect(colours.size).toBeGreaterThan(500);
  });

  it('12 gives the page no Node, and no file that nobody chose', async () => {
    const reach = await page.evaluate(() => ({
      node: [typeof require, typeof process].join(),
      m3l: Object.keys((window as unknown as { m3l: object }).m3l)
        .sort()
        .join(),
    }));
    expect(reach).toEqual({
      node: 'undefined,undefined',
      m3l: 'closeFolder,onStatus,openFolder,openRun,pictures,predict,rooms,save,start,stopSaving',
    });
    await page.evaluate(() => {
      location.href = 'file:///etc/passwd';
    });
    await page.waitForTimeout(200);
    expect(page.url()).toMatch(/renderer\/index\.html$/);
  });

  it('13 begins without a run, too', async () => {
    await close();
    ({ app, page, close } = await start([]));
    await page.getByText('Open a run: the folder that').waitFor();
    expect(await page.getByRole('button', { name: 'Export…' }).isVisible()).toBe(false);
    expect(await inaccessible()).toEqual([]);
    await choose(join(folder, 'half'));
    await press('Open run…');
    await error(/half.*checkpoint/);
    await page.getByText('Open a run: the folder that').waitFor();
  });

  it('14 runs what docs/electron.md shows', async () => {
    const text = readFileSync(
      fileURLToPath(new URL('../../docs/electron.md', import.meta.url)),
      'utf8',
    );
    const [, block] = /^```js\n(.*?)^```/ms.exec(text)!;
    // Beside the packages, where packaging lays what imports them.
    const file = join(folder, 'packaged/resources/app.asar.unpacked/docs.cjs');
    writeFileSync(file, block!);
    const given = { rgb: image('rgb', 0), depth: image('depth', 0) };
    const sent = { run, rgb: [...given.rgb], depth: [...given.depth] };
    const answer = await app.evaluate(
      ({ utilityProcess }, { path, images: { rgb, depth, ...rest } }) => {
        const child = utilityProcess.fork(path);
        child.postMessage({ ...rest, rgb: Uint8Array.from(rgb), depth: Uint8Array.from(depth) });
        type Answer = { classes: Uint8Array; width: number; seen: { data: Uint8Array } };
        return new Promise<{ classes: number[]; width: number; seen: number[] }>((resolve) => {
          child.once('message', ({ classes, width, seen }: Answer) => {
            child.kill();
            resolve({ classes: [...classes], width, seen: [...seen.data] });
          });
        });
      },
      { path: file, images: sent },
    );
    const { classes, width } = await predictor.predict(given);
    const { data } = await predictor.picture('depth', given.depth);
    expect(answer).toEqual({ classes: [...classes], width, seen: [...data] });
  });
});
