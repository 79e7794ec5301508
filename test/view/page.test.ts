/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { m3l } from '../cli/m3l.js';
import { openBrowser } from '../helpers/browser.js';
import { HOSTILE, tinyRooms } from '../helpers/tiny-rooms.js';
import { startView, type ViewServer } from '../helpers/view-server.js';

// As somebody sees it: a real browser, a real training, the network of a real run.

const browser: Browser | null = await openBrowser();
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const WAIT = 90_000;
const PHONE = { viewport: { width: 360, height: 740 } };

let folder: string;
let config: string;
let view: ViewServer;
let data: ViewServer;
const faults: string[] = [];

beforeAll(async () => {
  if (browser === null) return;
  folder = mkdtempSync(join(tmpdir(), 'm3l-page-'));
  config = await tinyRooms(folder);
  mkdirSync(join(folder, 'runs'));
  for (const name of ['whole', HOSTILE]) {
    const out = join(folder, 'runs', name);
    const { code, stderr } = await m3l(['train', config, '--out', out, '--no-check']);
    expect(code, stderr).toBe(0);
  }
  const measured = await m3l([
    'robustness',
    join(folder, 'runs', 'whole'),
    '--levels',
    '1',
    '--kinds',
    'fog',
  ]);
  expect(measured.code, measured.stderr).toBe(0);
  view = await startView([], folder);
  data = await startView(['--data', config], folder);
}, 600_000);

afterAll(async () => {
  await browser?.close();
  await view?.end();
  await data?.end();
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  expect(faults).toEqual([]);
});

async function opened(link: string, options: BrowserContextOptions = {}): Promise<Page> {
  const page = await browser!.newPage({ viewport: { width: 1280, height: 900 }, ...options });
  page.setDefaultTimeout(WAIT);
  page.on('console', (message) => {
    if (message.type() === 'error') faults.push(`${link}: ${message.text()}`);
  });
  page.on('pageerror', (error) => faults.push(`${link}: ${error.message}`));
  page.on('request', (request) => {
    const { hostname } = new URL(request.url());
    if (hostname !== '127.0.0.1' && hostname !== '') faults.push(`asks ${request.url()}`);
  });
  await page.goto(link);
  return page;
}

/** What is drawn on the stage. */
const drawn = (page: Page) =>
  page.evaluate(() => document.querySelector<HTMLCanvasElement>('.stage canvas')!.toDataURL());

/** Once the model has answered, and nothing moves any more. */
async function settled(page: Page): Promise<string> {
  await page.waitForFunction(
    () =>
      document.querySelector('.stage canvas') !== null &&
      document.querySelector('.coming, .stage-frame.busy') === null &&
      !document.querySelector('.figures dd')!.textContent!.startsWith('–'),
  );
  for (let last = ''; ; ) {
    const now = await drawn(page);
    if (now === last) return now;
    last = now;
    await page.waitForTimeout(300);
  }
}

const RUN_TABS = ['curves', 'scenes', 'classes', 'confusion', 'robustness', 'configuration'];
const SHOWN: Record<string, string> = {
  curves: '.chart .keys b',
  scenes: '.legend tbody tr',
  classes: '.iou tbody tr',
  confusion: '.confusion tbody tr',
  robustness: '.chart .keys b',
  configuration: '.config tbody tr',
};

describe.skipIf(browser === null)('m3l view, in a browser', { timeout: 300_000 }, () => {
  it('01 lists runs, whatever they are called', async () => {
    const page = await opened(view.url);
    await page.getByRole('link', { name: 'whole', exact: false }).waitFor();
    await page.getByText(HOSTILE, { exact: true }).waitFor();
    await page.getByText('8 of 8').first().waitFor();
    await page.getByRole('searchbox').fill('who');
    expect(await page.getByRole('listitem').count()).toBe(1);
    await page.close();
  });

  it('02 asks the model anew at the flip of a switch', async () => {
    const page = await opened(`${view.url}/#/runs/whole/scenes/2`);
    const whole = await settled(page);
    await page.getByRole('switch', { name: 'depth' }).click();
    await page.waitForURL(/without=depth/);
    const without = await settled(page);
    expect(without).not.toBe(whole);
    // One sensor must stay.
    await page.getByRole('switch', { name: 'rgb' }).click({ force: true });
    expect(await page.getByRole('switch', { name: 'rgb' }).getAttribute('aria-checked')).toBe(
      'true',
    );
    // The link shows the same to whoever opens it.
    const other = await opened(page.url());
    expect(await settled(other)).toBe(without);
    await other.close();
    await page.keyboard.press('2');
    expect(await settled(page)).toBe(whole);
    await page.close();
  });

  it('03 goes through scenes and layers by keys, and shows hostile names as they are', async () => {
    const page = await opened(`${view.url}/#/runs/whole/scenes/2`);
    const second = await settled(page);
    await page.locator('body').press('ArrowLeft');
    await page.getByText(`rgb/${HOSTILE}.png`).first().waitFor();
    const first = await settled(page);
    expect(first).not.toBe(second);
    await page.getByRole('slider', { name: 'Layer' }).focus();
    await page.keyboard.press('Home');
    await page.waitForURL(/layer=0/);
    const picture = await settled(page);
    expect(picture).not.toBe(first);
    await page.getByRole('button', { name: 'label', exact: true }).click();
    expect(await settled(page)).not.toBe(picture);
    const row = page.locator('.legend button').first();
    await row.click();
    expect(await row.getAttribute('aria-pressed')).toBe('true');
    expect(await page.evaluate(() => 'pwned' in window)).toBe(false);
    await page.close();
  });

  it('04 draws curves on while a training runs', async () => {
    const out = join(folder, 'runs', 'live');
    // So many that it does not end before the page has been opened.
    const steps = 240;
    const training = m3l([
      ...['train', config, '--out', out, '--no-check'],
      ...['--set', `iterations=${steps}`],
    ]);
    const page = await opened(view.url);
    await page.getByRole('link', { name: 'live', exact: false }).click();
    const iteration = () =>
      page.evaluate(() => {
        const charts = [...document.querySelectorAll('.chart')];
        const loss = charts.find((each) => each.querySelector('h3')?.textContent === 'Loss');
        return Number(
          /\d+/.exec(loss?.querySelector('figcaption .soft')?.textContent ?? '')?.[0] ?? 0,
        );
      });
    await expect.poll(iteration, { timeout: WAIT }).toBeGreaterThan(0);
    const before = await iteration();
    const painted = () =>
      page.evaluate(() =>
        [...document.querySelectorAll<HTMLCanvasElement>('.plot canvas')]
          .map((each) => each.toDataURL())
          .join(),
      );
    const drawnBefore = await painted();
    await expect.poll(iteration, { timeout: WAIT }).toBeGreaterThan(before);
    await expect.poll(painted, { timeout: WAIT }).not.toBe(drawnBefore);
    expect((await training).code).toBe(0);
    await page.locator('.state.finished').first().waitFor();
    await expect.poll(iteration, { timeout: WAIT }).toBe(steps);
    // And says so where a run is removed under it.
    rmSync(out, { recursive: true, force: true });
    await page.locator('.state.gone').first().waitFor();
    await page.close();
  });

  it('05 compares runs', async () => {
    const page = await opened(view.url);
    for (const name of ['Compare whole', `Compare ${HOSTILE}`])
      await page.getByLabel(name, { exact: true }).check();
    await page.getByRole('link', { name: 'Compare 2 runs' }).click();
    await page.getByRole('slider', { name: /Robust mIoU/ }).waitFor();
    await page.getByRole('link', { name: 'configuration' }).click();
    await page.getByText('These configurations are the same.').waitFor();
    await page.getByRole('link', { name: 'scenes' }).click();
    await page.locator('.run-scene .legend').nth(1).waitFor();
    expect(await page.evaluate(() => 'pwned' in window)).toBe(false);
    await page.close();
  });

  for (const scheme of ['light', 'dark'] as const) {
    it(`06 has no serious fault of accessibility, ${scheme}`, async () => {
      const found: string[] = [];
      for (const tab of RUN_TABS) {
        const page = await opened(`${view.url}/#/runs/whole/${tab}`, { colorScheme: scheme });
        await page.locator(SHOWN[tab]!).first().waitFor();
        found.push(...(await serious(page)).map((fault) => `${tab}: ${fault}`));
        await page.close();
      }
      const list = await opened(view.url, { colorScheme: scheme });
      await list.getByText('8 of 8').first().waitFor();
      found.push(...(await serious(list)));
      await list.close();
      expect(found).toEqual([]);
    });
  }

  it('07 fits a phone', async () => {
    const wide: string[] = [];
    const links = ['', ...RUN_TABS.map((tab) => `runs/whole/${tab}`)];
    for (const link of links) {
      const page = await opened(`${view.url}/#/${link}`, PHONE);
      await page
        .locator(SHOWN[link.split('/').at(-1)!] ?? '.run-row')
        .first()
        .waitFor();
      const { across } = await page.evaluate(() => ({
        across: document.documentElement.scrollWidth - document.documentElement.clientWidth,
      }));
      if (across > 0) wide.push(`${link}: ${across}`);
      await page.close();
    }
    expect(wide).toEqual([]);
  });

  it('08 says what to do where there is nothing, or nothing of that name', async () => {
    const page = await opened(`${view.url}/#/runs/nothing/curves`);
    await page.getByText('may have been moved or removed').waitFor();
    await page.close();
    const empty = await startView([], join(folder, 'rooms'));
    const other = await opened(empty.url);
    await other.getByText('m3l train rooms-demo').waitFor();
    await other.close();
    expect(await empty.end()).toBe(0);
  });

  it('09 shows data before training: scenes, what training draws, classes, the check', async () => {
    const page = await opened(`${data.url}/#/data/scenes/labelled/1`);
    const still = () =>
      page.waitForFunction(() => document.querySelector('.stage-frame.busy, .coming') === null);
    await page.locator('.legend tbody tr').first().waitFor();
    await still();
    const stored = await drawn(page);
    await page.getByRole('switch', { name: 'as training draws it' }).click();
    await expect.poll(() => drawn(page), { timeout: WAIT }).not.toBe(stored);
    await page.getByRole('link', { name: 'classes' }).click();
    await page.locator('.shares tbody tr').first().waitFor();
    expect(await page.getByText('<img src=x onerror=pwned=1>').count()).toBe(1);
    expect(await serious(page)).toEqual([]);
    await page.getByRole('link', { name: /^check/ }).click();
    await page.getByRole('row', { name: /^labelled/ }).waitFor();
    expect(await serious(page)).toEqual([]);
    expect(await page.evaluate(() => 'pwned' in window)).toBe(false);
    await page.close();
  });
});

async function serious(page: Page): Promise<string[]> {
  await page.evaluate(axe);
  return page.evaluate(async () => {
    type Found = { id: string; impact: string; nodes: { html: string; failureSummary: string }[] };
    const { axe } = window as unknown as { axe: { run(): Promise<{ violations: Found[] }> } };
    const { violations } = await axe.run();
    return violations
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .flatMap(({ id, nodes }) =>
        nodes.map(
          (node) => `${id}: ${node.html.slice(0, 160)} ${node.failureSummary.slice(0, 200)}`,
        ),
      );
  });
}
