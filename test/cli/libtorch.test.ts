import { randomBytes } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { elf, wheel } from '../libtorch/fake-wheel.js';
import { serve } from '../libtorch/server.js';
import { type RunOptions, m3l as run } from './m3l.js';

const all = mkdtempSync(join(tmpdir(), 'm3l-libtorch-'));
afterAll(() => rmSync(all, { recursive: true, force: true }));

let home: string;
let cpu: string;
beforeEach(() => {
  const folder = mkdtempSync(join(all, 'case-'));
  home = join(folder, 'home');
  cpu = join(folder, 'torch.whl');
  writeFileSync(cpu, wheel());
});

afterEach(() => vi.unstubAllEnvs());

/** `m3l libtorch …` in a cache of its own, where no other libtorch is found. */
const libtorch = (args: string[], options: RunOptions = {}) =>
  run(['libtorch', ...args], {
    ...options,
    env: { M3L_HOME: home, LIBTORCH: '', PATH: '/nowhere', ...options.env },
  });

/** A native folder that seems to have a build for this minor. */
function buildFor(minor: string): string {
  const folder = join(home, '../native');
  const prebuilds = join(folder, `torch-${minor}/prebuilds/${process.platform}-${process.arch}`);
  mkdirSync(prebuilds, { recursive: true });
  writeFileSync(join(prebuilds, 'm3l_core.node'), '');
  return folder;
}

const install = (...args: string[]) => libtorch(['install', '--from', ...args]);

describe('m3l libtorch', () => {
  it('installs, lists and removes', async () => {
    const empty = await libtorch(['list']);
    expect(empty.stdout).toMatch(/No libtorch is in .*m3l libtorch install/);
    expect(empty.code).toBe(0);

    const { code, stdout } = await install(cpu, '--json');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ name: '2.13.0-cpu', wasThere: false });
    const again = await install(cpu);
    expect(again.stderr).toMatch(/installed already; --force/);
    expect(again.stdout.trim()).toBe(join(home, 'libtorch/2.13.0-cpu/torch'));

    const listed = await libtorch(['list']);
    expect(listed.stdout).toMatch(/^2\.13\.0-cpu +2\.13\.0\+cpu +\d+ \w+ +no/m);
    const removed = await libtorch(['remove', '2.13.0-cpu']);
    expect(removed.stdout).toMatch(/Removed 2\.13\.0-cpu, \d/);
    expect(readdirSync(join(home, 'libtorch'))).toEqual([]);
  });

  it('uses the one that is chosen, until it is removed', async () => {
    const newer = join(home, '../newer.whl');
    writeFileSync(newer, wheel({ version: '2.14.1+cpu' }));
    vi.stubEnv('M3L_ADDON_DIR', buildFor('2.14'));
    await install(cpu);
    await install(newer);
    const chosen = await libtorch(['use', '2.13.0-cpu', '--json']);
    expect(JSON.parse(chosen.stdout)).toMatchObject({ chosen: '2.13.0-cpu' });
    expect(readFileSync(join(home, 'libtorch/use'), 'utf8')).toBe('2.13.0-cpu\n');
    const list = JSON.parse((await libtorch(['list', '--json'])).stdout);
    expect(list).toMatchObject({
      chosen: '2.13.0-cpu',
      installed: [
        { name: '2.13.0-cpu', variant: 'cpu', damage: null },
        { name: '2.14.1-cpu', version: '2.14.1+cpu' },
      ],
    });
    expect((await libtorch(['remove', '2.13.0-cpu'])).stderr).toMatch(/m3l chooses again/);
    expect(existsSync(join(home, 'libtorch/use'))).toBe(false);
    await libtorch(['use', '2.14.1-cpu']);
    await libtorch(['use', 'auto']);
    expect(existsSync(join(home, 'libtorch/use'))).toBe(false);
  });

  it('refuses to install or to use what there is no build for, and lists it as such', async () => {
    const none = /2\.99\.0\+cpu, and there are builds of m3l for libtorch 2\.13.*, none for 2\.99/;
    const other = join(home, '../other.whl');
    writeFileSync(other, wheel({ version: '2.99.0+cpu' }));
    const refused = await install(other);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(none);
    expect(refused.stderr).toMatch(/--with-headers and make a build.*\[M3L_LIBTORCH_VERSION\]/);
    expect((await libtorch(['list'])).stdout).toMatch(/No libtorch is in/);

    const toBuildFor = await install(other, '--with-headers');
    expect(toBuildFor.code, toBuildFor.stderr).toBe(0);
    expect(toBuildFor.stderr).toMatch(/not used: there are builds .* none for 2\.99/);
    const { stdout } = await libtorch(['list']);
    expect(stdout).toMatch(/^2\.99\.0-cpu .* no build$/m);
    expect(stdout).toMatch(/^2\.99\.0-cpu is not used: .* none for 2\.99\.$/m);
    const used = await libtorch(['use', '2.99.0-cpu']);
    expect(used.code).toBe(1);
    expect(used.stderr).toMatch(none);
    expect(existsSync(join(home, 'libtorch/use'))).toBe(false);
  });

  it('refuses a name that is none, with what was meant', async () => {
    await install(cpu);
    const { code, stderr } = await libtorch(['use', '2.13.0-cup']);
    expect(code).toBe(2);
    expect(stderr).toMatch(/Did you mean '2\.13\.0-cpu'\?.*\[M3L_LIBTORCH_NAME\]/s);
    expect((await libtorch(['remove', '../home'])).code).toBe(2);
    expect(existsSync(join(home, 'libtorch/2.13.0-cpu/torch/lib/libtorch.so'))).toBe(true);
  });

  it('refuses with a code and exit code 2 what was typed wrongly, with 1 what is broken', async () => {
    const missing = await install('/no/such/wheel', '--json');
    expect(missing.code).toBe(2);
    expect(JSON.parse(missing.stdout).error.code).toBe('M3L_LIBTORCH_SOURCE');
    expect((await libtorch(['install', '--variant', 'cpuu'])).stderr).toMatch(/Did you mean 'cpu'/);
    writeFileSync(cpu, 'no zip');
    const broken = await install(cpu);
    expect(broken.code).toBe(1);
    expect(broken.stderr).toMatch(/M3L_LIBTORCH_ARCHIVE/);
  });

  it('says what is damaged, and does not use it by name', async () => {
    await install(cpu);
    rmSync(join(home, 'libtorch/2.13.0-cpu/torch/lib/libc10.so'));
    expect((await libtorch(['list'])).stdout).toMatch(
      /not whole: torch\/lib\/libc10\.so is missing/,
    );
    const { code, stderr } = await libtorch(['use', '2.13.0-cpu']);
    expect(code).toBe(1);
    expect(stderr).toMatch(/not whole.*--force.*M3L_LIBTORCH_CONTENT/);
  });
});

describe('an install that is interrupted', () => {
  const content = wheel({
    files: {
      'torch/lib/libbig.so': elf({ padding: 0 }),
      'torch/lib/libmore.so': Buffer.concat([elf(), randomBytes(300_000)]),
    },
  });

  it.each(['SIGKILL', 'SIGINT'] as const)('by %s goes on from where it was', async (signal) => {
    const server = await serve(content, { holdsAfter: 100_000 });
    let asked = false;
    try {
      const stopped = libtorch(['install', '--from', server.url], {
        onStderr: (text, child) => {
          // Once: a second signal means at once.
          if (asked || !text.includes('is not compared')) return;
          asked = true;
          void whenFetched().then(() => child.kill(signal));
        },
      });
      const outcome = await stopped;
      if (signal === 'SIGINT') {
        expect(outcome.code).toBe(130);
        expect(outcome.stderr).toMatch(/Interrupted.*the same command goes on.*M3L_INTERRUPTED/s);
      } else expect(outcome.signal).toBe('SIGKILL');
      expect(existsSync(join(home, 'libtorch'))).toBe(false);
      expect((await libtorch(['list'])).stdout).toMatch(/Unfinished installs hold \d+ kB/);

      server.manners = {};
      const { code, stderr } = await install(server.url);
      expect(code).toBe(0);
      expect(server.requests.at(-1)?.range, stderr).toMatch(/^bytes=[1-9]\d*-$/);
      const { unfinished } = JSON.parse((await libtorch(['list', '--json'])).stdout);
      expect(unfinished.bytes).toBe(0);
    } finally {
      await server.close();
    }
  });

  it('frees what it holds by remove incomplete', async () => {
    mkdirSync(join(home, 'incomplete/wheels'), { recursive: true });
    writeFileSync(join(home, 'incomplete/wheels/a.whl.partial'), 'abc');
    expect((await libtorch(['remove', 'incomplete'])).stdout).toBe(
      'Removed incomplete, 3 bytes.\n',
    );
    expect(existsSync(join(home, 'incomplete'))).toBe(false);
  });

  /** Resolves once a part has reached the disk. */
  async function whenFetched(): Promise<void> {
    const store = join(home, 'incomplete/wheels');
    const fetched = () =>
      readdirSync(store).some(
        (name) => name.endsWith('.partial') && readFileSync(join(store, name)).length > 0,
      );
    while (!existsSync(store) || !fetched())
      await new Promise((resolve) => setTimeout(resolve, 20));
  }
});

describe('two installs at once', () => {
  it('take turns: the second waits and takes the first one’s', async () => {
    const server = await serve(wheel(), { holdsAfter: 1000 });
    try {
      const first = libtorch(['install', '--from', server.url, '--json'], {
        onStderr: (text) => {
          if (text.includes('is not compared')) begun();
        },
      });
      await beginning;
      // It releases the first only once it has said that it waits.
      const second = libtorch(['install', '--from', cpu, '--json'], {
        onStderr: (text) => {
          if (text.includes('waiting for it')) server.release();
        },
      });
      const outcomes = await Promise.all([first, second]);
      expect(outcomes.map(({ code }) => code)).toEqual([0, 0]);
      const [one, two] = outcomes.map(({ stdout }) => JSON.parse(stdout));
      expect(one).toMatchObject({ name: '2.13.0-cpu', wasThere: false });
      expect(two).toMatchObject({ name: '2.13.0-cpu', wasThere: true });
    } finally {
      await server.close();
    }
  });

  let begun: () => void = () => {};
  const beginning = new Promise<void>((resolve) => {
    begun = resolve;
  });

  it('do not wait for one that was killed', async () => {
    const server = await serve(wheel(), { holdsAfter: 1000 });
    try {
      const first = libtorch(['install', '--from', server.url], {
        onStderr: (text, child) => {
          if (text.includes('is not compared')) child.kill('SIGKILL');
        },
      });
      expect((await first).signal).toBe('SIGKILL');
      const second = await install(cpu);
      expect(second.code).toBe(0);
      expect(second.stderr).not.toContain('waiting');
    } finally {
      await server.close();
    }
  });
});
