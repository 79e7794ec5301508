/// <reference lib="dom" />
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { ElectronApplication, Page } from 'playwright-core';
import sharp from 'sharp';
import { expect } from 'vitest';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** What somebody does with examples/electron, and waits to see; of the app that runs when it is asked. */
export function handOf(now: () => { app: ElectronApplication; page: Page }) {
  /** What the next dialog is answered. */
  const choose = (path: string | null) =>
    now().app.evaluate(({ dialog }, chosen) => {
      const canceled = chosen === null;
      const filePaths = chosen === null ? [] : [chosen];
      dialog.showOpenDialog = async () => ({ canceled, filePaths });
      dialog.showSaveDialog = async () => ({ canceled, filePath: chosen ?? '' });
    }, path);
  const press = (name: string) => now().page.getByRole('button', { name, exact: true }).click();
  const flip = (name: string) => now().page.getByRole('switch', { name }).click();
  const status = (text: string | RegExp) => now().page.locator('#status').getByText(text).waitFor();
  const done = (text: string) =>
    now().page.locator('#activity').getByText(text, { exact: true }).waitFor();
  const error = (text: string | RegExp) => now().page.getByRole('alert').getByText(text).waitFor();
  /** What axe finds wrong. */
  async function inaccessible(): Promise<string[]> {
    await now().page.evaluate(axe);
    return now().page.evaluate(async () => {
      type Run = () => Promise<{ violations: { id: string; nodes: { html: string }[] }[] }>;
      const { violations } = await (window as unknown as { axe: { run: Run } }).axe.run();
      return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join()}`);
    });
  }
  async function goTo(frame: string) {
    const place = now().page.locator('#status');
    while (!(await place.textContent())!.includes(frame)) {
      const before = (await place.textContent())!;
      await now().page.locator('body').press('ArrowRight');
      await expect.poll(() => place.textContent()).not.toBe(before);
    }
  }
  const openFolder = async (modality: string, path: string) => {
    await choose(path);
    await press(`Folder of ${modality}…`);
  };
  async function save(format: string, path: string) {
    await choose(path);
    await now().page.getByLabel('What to export').selectOption(format);
    await press('Export…');
  }

  const canvas = (id: 'picture' | 'prediction') =>
    now()
      .page.locator(`#${id}`)
      .evaluate((element) => (element as HTMLCanvasElement).toDataURL());
  /** RGB of a canvas; where nothing is painted, black. */
  async function pixels(id: 'picture' | 'prediction') {
    const [, png] = (await canvas(id)).split(',');
    return sharp(Buffer.from(png!, 'base64')).flatten().removeAlpha().raw().toBuffer();
  }
  /** Kills a process of the app, as the system would where memory is wanting. */
  const kill = (service: RegExp) =>
    now().app.evaluate(({ app }, pattern) => {
      type Metric = { name?: string; serviceName?: string; pid: number };
      const { pid } = (app.getAppMetrics() as Metric[]).find(({ name = '', serviceName = '' }) =>
        [name, serviceName].some((text) => new RegExp(pattern).test(text)),
      )!;
      process.kill(pid, 'SIGKILL');
    }, service.source);

  return {
    ...{ choose, press, flip, status, done, error, inaccessible, goTo },
    ...{ openFolder, save, canvas, pixels, kill },
  };
}
