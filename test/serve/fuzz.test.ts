import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type TinyRun, tinyRun } from '../helpers/tiny-run.js';

const script = fileURLToPath(new URL('../../scripts/fuzz-serve.mjs', import.meta.url));
let tiny: TinyRun;

beforeAll(async () => {
  tiny = await tinyRun();
}, 180_000);
afterAll(() => tiny.remove());

// A part of what the server was tried with: --cases 5000 for all of it.
test('01 broken requests are answered or closed, and the server goes on', () => {
  const image = join(tiny.folder, 'rooms/rgb/val_000000.png');
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [script, tiny.run, image, '--seed', '22', '--cases', '200'],
    { encoding: 'utf8', env: { ...process.env, NODE_OPTIONS: '', OMP_NUM_THREADS: '1' } },
  );
  const { counts, failures } = JSON.parse(stdout || '{}');
  expect(failures, stderr).toEqual([]);
  expect(Object.keys(counts)).toEqual(
    expect.arrayContaining(['200', '400', '403', '404', 'closed']),
  );
  expect(status).toBe(0);
}, 300_000);
