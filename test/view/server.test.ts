import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunConfig, RunEntry, RunSummary, RunUpdate } from '../../dist/view/api.js';
import { m3l } from '../cli/m3l.js';
import { eventsOf, startView, type ViewServer } from '../helpers/view-server.js';

// Runs of nothing but their files: what the server makes of them, and what it refuses.

let folder: string;
let view: ViewServer;

const CONFIG = 'name: a\nbatch: { labelled: 2 }\niterations: 4\nframework: { name: m3l }\n';
const step = (iteration: number) => `{"kind":"train","iteration":${iteration},"loss":1}\n`;

function fabricate(name: string, files: Record<string, string>): string {
  const run = join(folder, 'runs', name);
  mkdirSync(run, { recursive: true });
  for (const [file, text] of Object.entries(files)) writeFileSync(join(run, file), text);
  return run;
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'm3l-view-'));
  fabricate('good', { 'config.yaml': CONFIG, 'metrics.jsonl': step(1) + step(2) });
  fabricate('cut', { 'config.yaml': 'name: a\nframe', 'metrics.jsonl': `${step(1)}{"kind":"tr` });
  fabricate('newer', {
    'config.yaml': 'name: b\nframework: { name: from-the-future, spin: 3 }\niterations: soon\n',
    'metrics.jsonl': `{"kind":"aura","iteration":1}\n${step(3)}`,
    'robustness.json': '{"curves":"later"}',
    'summary.json': '{}',
  });
  fabricate('no-run', { 'notes.txt': 'x' });
  fabricate('bomb', { 'config.yaml': `a: &a [1,1,1,1,1,1,1,1]\n${bomb()}` });
  writeFileSync(join(folder, 'secret.yaml'), 'secret: 1');
  mkdirSync(join(folder, 'runs', 'folder-as-config', 'config.yaml'), { recursive: true });
  view = await startView([], folder);
}, 60_000);

/** Aliases of aliases: a few lines that stand for millions. */
function bomb(): string {
  const names = 'abcdefghij'.split('');
  return names
    .slice(1)
    .map((name, i) => `${name}: &${name} [${Array(9).fill(`*${names[i]}`).join(',')}]`)
    .join('\n');
}

afterAll(async () => {
  await view?.end();
  rmSync(folder, { recursive: true, force: true });
});

const ask = async <Value>(path: string) => {
  const response = await fetch(`${view.url}${path}`);
  return { status: response.status, body: (await response.json()) as Value };
};
interface Failed {
  error: { code: string; message: string };
}

/** With headers that `fetch` sets itself. */
function rawly(
  path: string,
  headers: Record<string, string>,
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    request(`${view.url}${path}`, { headers }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      response.on('end', () => resolve({ status: response.statusCode!, text }));
    })
      .on('error', reject)
      .end();
  });
}

describe('m3l view, the server', () => {
  it('finds the runs of a suite, a folder further down', async () => {
    const nested = fabricate('suite/m3l-1', { 'config.yaml': CONFIG, 'metrics.jsonl': step(1) });
    const { body: list } = await ask<RunEntry[]>('/api/runs');
    rmSync(join(folder, 'runs', 'suite'), { recursive: true });
    expect(list.find(({ folder: at }) => at === nested)?.id).toBe('m3l-1');
  });

  it('tells of runs that are whole, cut short, or of a newer version', async () => {
    const { body: list } = await ask<RunEntry[]>('/api/runs');
    expect(list.map(({ id }) => id).sort()).toEqual(['bomb', 'cut', 'good', 'newer']);
    const query = list.map(({ id }) => `run=${id}`).join('&');
    const { body } = await ask<RunSummary[]>(`/api/summaries?${query}`);
    const of = (id: string) => body.find((each) => each.id === id)!;
    expect(of('good')).toMatchObject({
      state: 'stopped',
      iteration: 2,
      iterations: 4,
      problem: null,
    });
    expect(of('cut')).toMatchObject({ state: 'stopped', iteration: 1 });
    expect(of('newer')).toMatchObject({
      framework: 'from-the-future',
      iteration: 3,
      iterations: null,
    });
    expect(of('bomb').problem).toContain('config.yaml');
    const config = await ask<RunConfig>('/api/runs/newer/config');
    expect(config.body.values).toMatchObject({ 'framework.spin': '3' });
    const robustness = await ask<Failed>('/api/runs/newer/robustness');
    expect(robustness).toMatchObject({ status: 422, body: { error: { code: 'M3L_RUN_READ' } } });
    const scenes = await ask<Failed>('/api/runs/newer/scenes');
    expect(scenes.status).toBe(400);
    expect(scenes.body.error.code).toMatch(/^M3L_CONFIG/);
  });

  it('follows a run that is removed and comes back', async () => {
    const run = fabricate('moving', { 'config.yaml': CONFIG, 'metrics.jsonl': step(1) });
    await ask('/api/runs');
    let done = 0;
    const states: string[] = [];
    await eventsOf<RunUpdate>(`${view.url}/api/live?run=moving`, (events) => {
      const last = events.at(-1)!;
      states.push(last.summary.state);
      if (done === 0 && last.summary.state === 'stopped') {
        renameSync(run, `${run}-away`);
        done = 1;
      } else if (done === 1 && last.summary.state === 'gone') {
        renameSync(`${run}-away`, run);
        writeFileSync(join(run, 'metrics.jsonl'), step(1) + step(2), { flag: 'w' });
        done = 2;
      }
      return done === 2 && last.summary.state === 'stopped' && last.summary.iteration === 2;
    });
    expect(states).toContain('gone');
  });

  it('names no file but those of its runs', async () => {
    symlinkSync(join(folder, 'secret.yaml'), join(folder, 'runs', 'good', 'link.yaml'));
    const tries = [
      '/api/runs/..%2f/config',
      '/api/runs/%2e%2e/config',
      '/api/runs/..%2f..%2fetc%2fpasswd/config',
      '/api/runs/good%2f..%2f..%2fsecret.yaml/config',
      '/page/../../package.json',
      '/..%2f..%2fpackage.json',
      '/api/runs/good/link.yaml',
      '/api/runs/__proto__/config',
    ];
    for (const path of tries) {
      const { status, text } = await rawly(path, {});
      expect(status, path).toBe(404);
      expect(text).not.toContain('secret: 1');
    }
  });

  it('refuses other hosts, other pages, and what is too much', async () => {
    const { host } = new URL(view.url);
    const own = { host };
    const refused = [
      { host: 'evil.example' },
      { host: `evil.example:${new URL(view.url).port}` },
      { host: '127.0.0.1.evil.example' },
      { host: 'localhost@evil.example' },
      { ...own, origin: 'http://evil.example' },
      { ...own, origin: 'null' },
      { ...own, 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'cors' },
      { ...own, 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' },
      { ...own, 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'no-cors' },
    ];
    for (const headers of refused) {
      const { status, text } = await rawly('/api/runs', headers as Record<string, string>);
      expect(status, JSON.stringify(headers)).toBe(403);
      expect(JSON.parse(text)).toMatchObject({
        error: { code: expect.stringMatching(/^M3L_HTTP/) },
      });
    }
    const taken = [
      own,
      { host: host.replace('127.0.0.1', 'localhost') },
      // As a tunnel of another port has it.
      { host: 'localhost:9999' },
      { ...own, origin: `http://${host}` },
      { ...own, 'sec-fetch-site': 'same-origin' },
    ];
    for (const headers of taken) expect((await rawly('/api/runs', headers)).status).toBe(200);
    const link = { ...own, 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' };
    expect((await rawly('/', link)).status).toBe(200);
    const many = Array.from({ length: 200 }, (_, i) => `run=${i}`).join('&');
    expect((await ask(`/api/summaries?${many}`)).status).toBe(400);
    expect((await fetch(`${view.url}/api/runs`, { method: 'POST', body: 'x' })).status).toBe(404);
    expect((await ask('/api/runs/good/scenes/-1/label')).status).toBe(400);
  });

  it('lets the page fetch and run nothing but its own', async () => {
    const { headers } = await fetch(view.url);
    expect(headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(headers.get('content-security-policy')).not.toContain('unsafe');
    expect(headers.get('x-content-type-options')).toBe('nosniff');
  });

  it('has a thousand runs, of which it reads those that are asked for', async () => {
    const many = join(folder, 'many');
    for (let i = 0; i < 1000; i++) {
      mkdirSync(join(many, `run-${i}`), { recursive: true });
      writeFileSync(join(many, `run-${i}`, 'config.yaml'), CONFIG);
    }
    const other = await startView([many], folder);
    const response = await fetch(`${other.url}/api/runs`);
    expect((await response.json()) as RunEntry[]).toHaveLength(1000);
    // The page asks again and again: the list is sent where it is another.
    const known = { 'if-none-match': response.headers.get('etag')! };
    const again = await fetch(`${other.url}/api/runs`, { headers: known });
    expect([again.status, await again.text()]).toEqual([304, '']);
    writeFileSync(join(many, 'run-7', 'metrics.jsonl'), step(1));
    expect((await fetch(`${other.url}/api/runs`, { headers: known })).status).toBe(200);
    expect(await other.end()).toBe(0);
  });

  it('takes another port than one that is taken, or says so', async () => {
    const { port } = new URL(view.url);
    const refused = await m3l(['view', '--port', port, '--no-open'], { cwd: folder });
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('M3L_HTTP_PORT');
    expect(refused.stderr).toContain('Give another --port');
    const other = await startView([], folder);
    expect(new URL(other.url).port).not.toBe(port);
    expect(await other.end()).toBe(0);
    const missing = await m3l(['view', 'nowhere'], { cwd: folder });
    expect(missing.code).toBe(1);
    expect(missing.stderr).toContain('M3L_RUN_MISSING');
    const both = await m3l(['view', 'runs', '--data', 'rooms-demo'], { cwd: folder });
    expect(both.code).toBe(2);
  });

  it('ends at once, whoever is listening', async () => {
    const other = await startView([], folder);
    const listening = eventsOf(`${other.url}/api/live?run=good`, () => false).catch(() => []);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(await other.end()).toBe(0);
    await listening;
    // The port is free again.
    await new Promise<void>((resolve, reject) => {
      const server = createServer().once('error', reject);
      server.listen(Number(new URL(other.url).port), '127.0.0.1', () =>
        server.close(() => resolve()),
      );
    });
  });
});
