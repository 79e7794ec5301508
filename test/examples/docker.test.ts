import { type ChildProcess, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { debianRoot, whyNoDebianRoot } from '../helpers/debian-root.js';
import { buildStages, type Stage, start } from '../helpers/dockerfile.js';
import { packPackages, whyNoPackages } from '../release/packed.js';
import { tool, whyNoTools } from '../release/tools.js';

const clone = fileURLToPath(new URL('../../', import.meta.url));
const skipped = whyNoDebianRoot() ?? whyNoPackages() ?? whyNoTools();
if (skipped !== null) console.warn(`examples/docker: skipped, ${skipped}`);

let folder: string;
let image: Stage;

/** m3l's command line, of the clone. */
function m3l(...args: string[]): void {
  const { status, stderr } = spawnSync(
    process.execPath,
    [join(clone, 'dist/cli/main.js'), ...args],
    {
      encoding: 'utf8',
      cwd: folder,
    },
  );
  expect(status, stderr).toBe(0);
}

describe.skipIf(skipped !== null)('examples/docker', () => {
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'm3l-docker-'));
    const context = join(folder, 'context');
    packPackages(join(context, 'release'));
    cpSync(join(clone, 'examples'), join(context, 'examples'), { recursive: true });
    image = buildStages(readFileSync(join(clone, 'examples/docker/Dockerfile'), 'utf8'), {
      base: debianRoot(tool('node-24/bin/node')),
      context,
      stages: folder,
    });
  }, 900_000);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('01 the image runs as a user who is not root', () => {
    expect(image.user).toBe('node');
    expect(image.command).toEqual(['node', 'server.mjs']);
  });

  it('02 its server segments what it is sent, whichever sensor is missing, and refuses the rest', async () => {
    const sizes = 'data.rooms.labelled=2 data.rooms.unlabelled=2 data.rooms.val=2'.split(' ');
    m3l('train', 'rooms-demo', '--out', 'run', '--set', 'iterations=2', ...sizes);
    m3l(...'rooms rooms --size 48x64 --labelled 1 --unlabelled 0 --val 1'.split(' '));
    cpSync(join(folder, 'run'), join(image.root, 'app/run'), { recursive: true });
    const server = start(image, { PORT: '0', OMP_NUM_THREADS: '1' });
    try {
      const address = await addressOf(server);
      const about = (await (await fetch(address)).json()) as { modalities: string[] };
      expect(about.modalities).toEqual(['rgb', 'depth']);
      for (const sent of [['rgb', 'depth'], ['depth']]) {
        const form = new FormData();
        for (const name of sent) {
          const picture = readFileSync(join(folder, `rooms/${name}/val_000000.png`));
          form.set(name, new Blob([new Uint8Array(picture)]));
        }
        const answer = await fetch(address, { method: 'POST', body: form });
        expect(answer.headers.get('content-type')).toBe('image/png');
        const { width, height } = await sharp(await answer.arrayBuffer()).metadata();
        expect([width, height]).toEqual([64, 48]);
      }
      const form = new FormData();
      form.set('rgb', new Blob(['no picture']));
      const refused = await fetch(address, { method: 'POST', body: form });
      expect(refused.status).toBe(400);
      expect(await refused.text()).toMatch(/rgb/);
    } finally {
      const ended = once(server, 'exit');
      process.kill(-server.pid!, 'SIGKILL');
      await ended;
    }
  });
});

async function addressOf(server: ChildProcess): Promise<string> {
  const errors: Buffer[] = [];
  server.stderr!.on('data', (part) => errors.push(part));
  for await (const line of createInterface({ input: server.stdout! })) {
    const [, port] = /^listening on port (\d+)$/.exec(line) ?? [];
    if (port !== undefined) return `http://localhost:${port}`;
  }
  throw new Error(`the server ended: ${Buffer.concat(errors)}`);
}
