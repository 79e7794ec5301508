import { exec, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { readLabels } from 'm3l/data';
import { serve } from 'm3l/serve';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freePort } from '../../dist/cli/launch.js';
import { type TinyRun, tinyRun } from '../helpers/tiny-run.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const page = readFileSync(join(root, 'docs/servers.md'), 'utf8');
let tiny: TinyRun;

beforeAll(async () => {
  tiny = await tinyRun();
  cpSync(join(tiny.folder, 'rooms/rgb/val_000000.png'), join(tiny.folder, 'rgb.png'));
}, 180_000);
afterAll(() => tiny.remove());

/** Runs the one block of the page that has such a line, in the folder of a run. */
function started(line: string, env: NodeJS.ProcessEnv = {}) {
  const blocks = [...page.matchAll(/^```js\n(.*?)^```/gms)].map(([, body]) => body!);
  const [program, more] = blocks.filter((body) => body.includes(line));
  expect(more, line).toBeUndefined();
  const here = join(root, 'dist');
  const local = program!
    .replaceAll(/'m3l\/(\w+)'/g, (_, name) => `'${here}/${name}/index.js'`)
    .replaceAll(/'(fastify|express)'/g, (_, name) => `'${import.meta.resolve(name)}'`);
  const script = join(tiny.folder, `docs-${line.length}.mjs`);
  writeFileSync(script, local);
  return spawn(process.execPath, [script], {
    cwd: tiny.folder,
    env: { ...process.env, NODE_OPTIONS: '', OMP_NUM_THREADS: '1', ...env },
  });
}

test('01 the program that predicts', async () => {
  const child = started("const found = await predictor.predict({ rgb: await readFile('rgb.png')");
  const [said, failed] = await Promise.all([text(child.stdout), text(child.stderr)]);
  expect(failed).toBe('');
  expect(said).toMatch(/^52 36 \[ 'depth' \] 1872 \d+\n$/);
});

test('02 the lines of curl, once the server of the line before listens', async () => {
  const [, block] = /^```sh\n(m3l serve.*?)^```/ms.exec(page)!;
  const [first, ...lines] = block!.trim().split('\n');
  expect(first).toBe('m3l serve RUN --port 8080');
  for (const [name, sensor] of [
    ['a', 'rgb'],
    ['a-depth', 'depth'],
  ] as const) {
    writeFileSync(join(tiny.folder, `${name}.png`), tiny.image(sensor));
  }
  await using server = await serve(tiny.run, { port: 0 });
  const at = server.url.replace('http://', '');
  const answers: string[] = [];
  for (const line of lines) {
    const asked = line.replaceAll('localhost:8080', at).replace('curl', 'curl -sS --fail');
    const { stdout } = await promisify(exec)(asked, { cwd: tiny.folder });
    answers.push(stdout);
  }
  expect((await readLabels(join(tiny.folder, 'classes.png'))).data.length).toBe(52 * 36);
  expect(await sharp(join(tiny.folder, 'dark.png')).metadata()).toMatchObject({
    width: 52,
    channels: 3,
  });
  expect(JSON.parse(answers.at(-1)!)).toMatchObject({ width: 52, missing: ['depth'] });
});

test.each([
  ['03', "import Fastify from 'fastify'"],
  ['04', "import express from 'express'"],
])('%s the server by %s', async (_, line) => {
  const port = await freePort();
  const child = started(line, { PORT: String(port) });
  const ended = once(child, 'exit');
  try {
    const ask = () =>
      fetch(`http://localhost:${port}/rgb`, {
        method: 'POST',
        body: readFileSync(join(tiny.folder, 'rgb.png')),
        headers: { 'content-type': 'image/png' },
      });
    let answer: Response | null = null;
    while (answer === null && child.exitCode === null) {
      answer = await ask().catch(() => new Promise((resolve) => setTimeout(resolve, 100, null)));
    }
    expect(answer?.headers.get('content-type')).toBe('image/png');
    expect((await answer!.arrayBuffer()).byteLength).toBeGreaterThan(800);
  } finally {
    child.kill();
    await ended;
  }
});
