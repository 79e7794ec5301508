/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import { cpSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { listRuns } from 'm3l/experiment';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunSummary } from '../../dist/view/api.js';
import { openBrowser } from '../helpers/browser.js';
import { type TinyRun, tinyRun } from '../helpers/tiny-run.js';
import { startView, type ViewServer } from '../helpers/view-server.js';

// What the page asks for, draws and holds open as one goes from one thing to the next.

const browser: Browser | null = await openBrowser();
const WAIT = 90_000;

let tiny: TinyRun;
let view: ViewServer;

beforeAll(async () => {
  if (browser === null) return;
  tiny = await tinyRun();
  for (const name of ['a', 'b'])
    cpSync(tiny.run, join(tiny.folder, 'runs', name), { recursive: true });
  cpSync(tiny.run, join(tiny.folder, 'runs', 'long'), { recursive: true });
  const step = (k: number) => ({
    kind: 'train',
    iteration: k,
    loss: k,
    seconds: 0.5,
    parts: { s: k },
  });
  const lines = Array.from({ length: 40 }, (_, k) => JSON.stringify(step(k + 1)));
  writeFileSync(join(tiny.folder, 'runs', 'long', 'metrics.jsonl'), `${lines.join('\n')}\n`);
  view = await startView(['runs'], tiny.folder);
}, 120_000);

afterAll(async () => {
  await browser?.close();
  await view?.end();
  tiny?.remove();
});

/** Counts what is drawn on canvases and which connections are opened. */
function count(): void {
  const counted = { clears: 0, pixels: 0, routes: 0, sources: [] as EventSource[] };
  Object.assign(window, { counted });
  const { prototype } = CanvasRenderingContext2D;
  const { clearRect } = prototype;
  prototype.clearRect = function (x, y, width, height) {
    counted.clears += 1;
    counted.pixels += width * height;
    clearRect.call(this, x, y, width, height);
  };
  addEventListener('hashchange', () => {
    counted.routes += 1;
  });
  window.EventSource = class extends EventSource {
    constructor(url: string | URL) {
      super(url);
      counted.sources.push(this);
    }
  };
}

interface Counted {
  clears: number;
  pixels: number;
  routes: number;
  sources: EventSource[];
}

async function opened(link: string, before?: (page: Page) => Promise<void>): Promise<Page> {
  const page = await browser!.newPage({ viewport: { width: 1280, height: 900 } });
  page.setDefaultTimeout(WAIT);
  await page.addInitScript(count);
  await before?.(page);
  await page.goto(link);
  return page;
}

const figures = (page: Page) => page.locator('.figures').innerText();

/** Once all of the scene is there. */
const settled = (page: Page) =>
  page.waitForFunction(
    () =>
      document.querySelector('.cases') !== null &&
      document.querySelector('.coming, .busy') === null &&
      [...document.querySelectorAll('.cases b, .figures dd')].every(
        ({ textContent }) => !textContent!.startsWith('–'),
      ),
  );

/** Holds the answers of paths that match until told to let them go. */
async function held(page: Page, path: RegExp): Promise<() => void> {
  let release = () => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  await page.route(path, async (route) => {
    await released;
    await route.continue();
  });
  return release;
}

describe.skipIf(browser === null)('m3l view, as things change', { timeout: 300_000 }, () => {
  it('tells the best score that m3l runs tells, of a log without an evaluation at its end, too', async () => {
    const answer = await fetch(`${view.url}/api/summaries?run=a&run=long`);
    const told = (await answer.json()) as RunSummary[];
    const listed = listRuns(join(tiny.folder, 'runs'));
    for (const { id, robustMeanIoU } of told) {
      const { robustMeanIoU: expected } = listed.find(({ run }) => run === id)!;
      expect(expected).toBeGreaterThan(0);
      expect(robustMeanIoU).toBe(expected);
    }
    expect(told).toHaveLength(2);
  });

  it('asks for each part of a scene once, and for the next one beforehand', async () => {
    const asked: string[] = [];
    const page = await opened(`${view.url}/#/runs/a/scenes/1`, async (made) => {
      made.on('request', (request) => {
        const { pathname, search } = new URL(request.url());
        if (/\/scenes\/\d/.test(pathname)) asked.push(`${pathname}${search}`);
      });
    });
    await settled(page);
    const of = (scene: number) => asked.filter((path) => path.includes(`/scenes/${scene}/`));
    await expect.poll(() => of(1).length, { timeout: WAIT }).toBe(4);
    // Two pictures, the label, and a prediction with everything and without each sensor.
    expect(of(0)).toHaveLength(6);
    await page.locator('body').press('ArrowRight');
    await page.waitForURL(/scenes\/2/);
    await settled(page);
    await expect.poll(() => of(2).length, { timeout: WAIT }).toBe(4);
    expect(of(1)).toHaveLength(6);
    expect(new Set(asked).size).toBe(asked.length);
    await page.close();
  });

  it('shows nothing of the scene before while the next one is coming', async () => {
    let release = () => {};
    const page = await opened(`${view.url}/#/runs/a/scenes/1`, async (made) => {
      release = await held(made, /\/scenes\/1\/(label|prediction|pictures)/);
    });
    await settled(page);
    await page.locator('body').press('ArrowRight');
    await page.getByText('Asking the model').waitFor();
    expect(await figures(page)).not.toMatch(/\d/);
    expect(await page.locator('.legend tbody tr, .cases b').count()).toBe(0);
    const blank = await page.evaluate(() => {
      const canvas = document.querySelector<HTMLCanvasElement>('.stage canvas')!;
      const { data } = canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height);
      return data.every((value) => value === 0);
    });
    expect(blank).toBe(true);
    release();
    await settled(page);
    expect(await figures(page)).toMatch(/\d/);
    await page.close();
  });

  it('takes back what it asked of a scene that was left', async () => {
    const failed: string[] = [];
    let release = () => {};
    const page = await opened(`${view.url}/#/runs/a/scenes/1`, async (made) => {
      release = await held(made, /\/scenes\/1\/prediction/);
      made.on('requestfailed', (request) => {
        const { pathname } = new URL(request.url());
        if (pathname.endsWith('/prediction')) failed.push(pathname);
      });
    });
    await settled(page);
    await page.locator('body').press('ArrowRight');
    await page.getByText('Asking the model').waitFor();
    await page.locator('body').press('ArrowRight');
    await expect.poll(() => failed).toEqual(['/api/runs/a/scenes/1/prediction']);
    await settled(page);
    // And asks again where one comes back.
    release();
    await page.locator('body').press('ArrowLeft');
    await settled(page);
    await page.close();
  });

  it('says what its numbers are of while the model is asked without a sensor', async () => {
    let release = () => {};
    const page = await opened(`${view.url}/#/runs/a/scenes/1`, async (made) => {
      release = await held(made, /\/scenes\/0\/prediction\?without/);
    });
    await page.locator('.figures dd', { hasText: /\d/ }).first().waitFor();
    // The figures come one after another.
    let before = '';
    for (let now = await figures(page); now !== before; now = await figures(page)) {
      before = now;
      await page.waitForTimeout(500);
    }
    await page.getByRole('switch', { name: 'depth' }).click();
    await page.locator('.stage-frame.busy').waitFor();
    expect(await figures(page)).toBe(before);
    release();
    await page.getByText('mIoU here, without depth').waitFor();
    await page.close();
  });

  it('draws nothing but the strip that the seam went over', async () => {
    const page = await opened(`${view.url}/#/runs/${encodeURIComponent('a, b')}/scenes/1`);
    await page.waitForFunction(() => document.querySelectorAll('.cases').length === 2);
    await settled(page);
    await page.getByRole('slider', { name: 'Layer' }).first().focus();
    const frame = () =>
      page.evaluate(
        () => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))),
      );
    await page.keyboard.press('ArrowLeft');
    await page.waitForURL(/layer=/);
    await page.waitForTimeout(1200);
    const MOVES = 8;
    const counted = () =>
      page.evaluate(() => {
        const { clears, pixels, routes } = (window as unknown as { counted: Counted }).counted;
        const { width, height } = document.querySelector<HTMLCanvasElement>('.stage canvas')!;
        return { clears, share: pixels / (width * height), routes };
      });
    const before = await counted();
    for (let move = 0; move < MOVES; move++) {
      await page.keyboard.press('ArrowLeft');
      await frame();
    }
    const after = await counted();
    expect(after.clears - before.clears).toBe(2 * MOVES);
    // A twentieth of the picture and the seam's grip; of two runs.
    expect((after.share - before.share) / (2 * MOVES)).toBeLessThan(0.2);
    expect(after.routes).toBe(before.routes);
    await page.waitForURL(/layer=2\.55/);
    await page.close();
  });

  it('holds one connection for a view, and none for one that was left', async () => {
    const page = await opened(`${view.url}/#/runs/a/curves`);
    const open = () =>
      page.evaluate(() =>
        (window as unknown as { counted: Counted }).counted.sources
          .filter(({ readyState }) => readyState !== EventSource.CLOSED)
          .map(({ url }) => new URL(url).pathname),
      );
    await page.locator('.state').first().waitFor();
    expect(await open()).toEqual(['/api/live']);
    await page.getByRole('link', { name: 'confusion' }).click();
    await page.getByText('3 of 3 scenes').waitFor();
    expect(await open()).toEqual(['/api/live']);
    await page.getByRole('link', { name: 'm3l' }).click();
    await page.locator('.run-row').first().waitFor();
    await expect.poll(open).toEqual([]);
    await page.close();
  });

  it('says beside its scenes that a run was removed', async () => {
    const run = join(tiny.folder, 'runs', 'removed');
    cpSync(tiny.run, run, { recursive: true });
    const page = await opened(`${view.url}/#/runs/removed/scenes/1`);
    await settled(page);
    rmSync(run, { recursive: true });
    await page.getByText('the run was moved or removed').waitFor();
    await page.close();
  });

  it('counts the matrix of one run after the other', async () => {
    let release = () => {};
    const page = await opened(
      `${view.url}/#/runs/${encodeURIComponent('a, b')}/confusion`,
      async (made) => {
        release = await held(made, /runs\/a\/confusion/);
      },
    );
    await page.getByText('Waits for the run before').waitFor();
    expect(await page.getByText('3 of 3 scenes').count()).toBe(0);
    release();
    await page.getByText('3 of 3 scenes').nth(1).waitFor();
    await page.close();
  });

  it('says that the connection is lost, and takes it up again', async () => {
    const other = await startView(['runs'], tiny.folder);
    const { port } = new URL(other.url);
    const page = await opened(`${other.url}/#/runs/a/curves`);
    await page.locator('.state').first().waitFor();
    expect(await page.getByText('Connection lost').count()).toBe(0);
    other.child.kill('SIGKILL');
    await page.getByText('Connection lost').waitFor();
    await page.locator('.chart').first().waitFor();
    const again = await startView(['runs', '--port', port], tiny.folder);
    await page.getByText('Connection lost').waitFor({ state: 'hidden' });
    await page.close();
    expect(await again.end()).toBe(0);
  });

  it('tells the values of a chart along its axis by keys', async () => {
    const page = await opened(`${view.url}/#/runs/long/curves?smoothing=0`);
    const loss = page.getByRole('slider', { name: 'Loss', exact: true });
    await loss.focus();
    const told = () => loss.getAttribute('aria-valuetext');
    expect(await told()).toMatch(/^iteration 40: loss 40/);
    await page.keyboard.press('Home');
    await expect.poll(told).toMatch(/^iteration 1: loss 1,/);
    await page.keyboard.press('ArrowRight');
    await expect.poll(told).toMatch(/^iteration 2: /);
    // The charts of one group show the same place.
    const rate = page.getByRole('slider', { name: 'Samples a second' });
    expect(await rate.getAttribute('aria-valuetext')).toMatch(/^iteration 2: /);
    await page.keyboard.press('Escape');
    await expect.poll(told).toMatch(/^iteration 40: /);
    await page.close();
  });

  it('holds in the link what is searched for, how curves are drawn, and which runs are compared', async () => {
    const page = await opened(`${view.url}/#/?search=lon`);
    await page.locator('.run-row').first().waitFor();
    expect(await page.locator('.run-row').count()).toBe(1);
    await page.getByRole('searchbox').fill('zzz');
    await page.waitForURL(/search=zzz/);
    await page.goto(`${view.url}/#/runs/a/curves`);
    await page.getByLabel('Logarithmic loss').check();
    await page.waitForURL(/scale=log/);
    const slider = page.getByRole('slider', { name: 'Smoothing' });
    await slider.focus();
    await page.keyboard.press('Home');
    await page.waitForURL(/smoothing=0&scale=log/);
    await page.reload();
    expect(await page.getByLabel('Logarithmic loss').isChecked()).toBe(true);
    await expect.poll(() => slider.inputValue()).toBe('0');
    await page.getByRole('link', { name: 'configuration' }).click();
    await page.getByLabel('Compare with another run').selectOption('b');
    await page.waitForURL(/runs\/a%2C%20b\/configuration/);
    await page.getByText('These configurations are the same.').waitFor();
    await page.close();
  });
});
