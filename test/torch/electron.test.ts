import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { temporaryFolder } from '../data/fixtures.js';
import { electronFolder, packageApp } from '../helpers/electron-app.js';

interface Computed {
  values?: number[];
  norm?: number;
  error?: string;
}

const app = fileURLToPath(new URL('../fixtures/electron/', import.meta.url));
const electron = await electronFolder();
const folder = temporaryFolder();
const right = { values: [1, 1, 5, 5], norm: Math.fround(Math.sqrt(52)) };

/** What m3l computes in each of the places of the app, or how it fails. */
async function compute(program: string, places: readonly string[]) {
  const { NODE_OPTIONS: _, LIBTORCH: __, M3L_ADDON_DIR: ___, ...env } = process.env;
  const own = {
    XDG_CONFIG_HOME: join(folder, 'config'),
    OMP_NUM_THREADS: '1',
    // Nothing but what is packaged with the app.
    M3L_HOME: join(folder, 'home'),
  };
  const args = ['-a', program, '--no-sandbox', places.join()];
  const { stdout } = await promisify(execFile)('xvfb-run', args, { env: { ...env, ...own } });
  const [, results] = /^RESULTS (.*)$/m.exec(stdout)!;
  return JSON.parse(results!) as Record<string, Computed>;
}

describe.skipIf(electron === null)('m3l in Electron', () => {
  let packed: string;

  beforeAll(async () => {
    const unpack = '{compute.cjs,utility.cjs,thread.cjs,**/node_modules/**}';
    packed = await packageApp({ electron: electron!, app, out: join(folder, 'whole'), unpack });
  }, 600_000);

  it('01 computes in the main process, a thread and a utility process', async () => {
    const places = ['main', 'thread', 'utility'];
    const results = await compute(packed, places);
    expect(results).toEqual(Object.fromEntries(places.map((place) => [place, right])));
  });

  it('02 finds its libraries from inside of an archive, where they are unpacked', async () => {
    expect(await compute(packed, ['archive'])).toEqual({ archive: right });
  });

  it('03 says what to unpack where libraries are not', async () => {
    const out = join(folder, 'wrong');
    const wrong = await packageApp({ electron: electron!, app, out, unpack: '**/*.node' });
    const { error } = (await compute(wrong, ['archive'])).archive!;
    // Of libtorch, or of the kernels where Python has another.
    expect(error).toMatch(/^M3L_(LIBTORCH|ADDON)_NOT_FOUND: /);
    expect(error).toMatch(/app\.asar\/.*: found it inside the archive/);
    expect(error).toMatch(/expected it at .*app\.asar\.unpacked\/.*\.so,/);
    expect(error).toMatch(/asarUnpack: \["\*\*\/\*\.node", "\*\*\/\*\.so\*"\]/);
  });
});

describe('the addons', () => {
  it.each(['m3l_core', 'm3l_image', 'm3l_loader'])(
    '04 %s lends no memory to JavaScript',
    (name) => {
      // Electron refuses external buffers: V8 keeps all of them in a region of its own.
      const native = fileURLToPath(new URL('../../build/native/', import.meta.url));
      const files = readdirSync(native, { recursive: true, encoding: 'utf8' });
      const built = files.filter((file) => basename(file) === `${name}.node`);
      expect(built.length).toBeGreaterThan(0);
      for (const file of built) {
        const symbols = readFileSync(join(native, file), 'latin1');
        expect(symbols).toContain('napi_');
        expect(symbols).not.toMatch(/napi_create_external_(arraybuffer|buffer)/);
      }
    },
  );
});
