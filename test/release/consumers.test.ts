/**
 * The packed packages as strangers use them: package managers, runtimes, bundlers, compilers. Everything
 * is installed from the tarballs into empty folders; nothing of the clone is on the way.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NAMES, npm, type Packages, packPackages, whyNoPackages } from './packed.js';
import { TYPED, TYPED_COMMONJS, USE, USED } from './programs.js';
import { registry, tool, whyNoTools } from './tools.js';

const skipped = whyNoPackages() ?? whyNoTools();
if (skipped !== null) console.warn(`the packages as strangers use them: skipped, ${skipped}`);

let packages: Packages;
let root: string;
/** Where npm installed them. */
let folder: string;

function write(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

/** Of a network whose proxy has its own. */
const { NODE_EXTRA_CA_CERTS } = process.env;
const certificates = NODE_EXTRA_CA_CERTS ? { NODE_EXTRA_CA_CERTS } : {};

/** With nothing of the machine's own: no Python, no compiler, no cache, no settings. */
function run(program: string, args: string[], cwd = folder, more: NodeJS.ProcessEnv = {}) {
  const env = {
    ...{ PATH: join(root, 'bin'), HOME: join(root, 'home'), OMP_NUM_THREADS: '1' },
    ...{ npm_config_registry: registry, NO_UPDATE_NOTIFIER: '1', ...certificates, ...more },
  };
  const { status, stdout, stderr } = spawnSync(program, args, { cwd, env, encoding: 'utf8' });
  return { status, out: stdout, all: `${stdout}${stderr}` };
}

const node = (args: string[], ...more: [cwd?: string, env?: NodeJS.ProcessEnv]) =>
  run(process.execPath, args, ...more);

function expectDone({ status, all }: ReturnType<typeof run>): void {
  expect(status, all).toBe(0);
}

/** The program's last line says what came out. */
function expectUsed(done: ReturnType<typeof run>): void {
  expectDone(done);
  expect(JSON.parse(done.out.trim().split('\n').at(-1)!)).toEqual(USED);
}

/** A folder with a package.json that names the tarballs. */
function project(name: string, manifest: object = {}): string {
  const path = join(root, name);
  const files = NAMES.map((own) => [own, `file:${packages[own].file}`]);
  // What m3l itself depends on is looked for in the registry, where it is not yet.
  const resolutions = Object.fromEntries(files.slice(1, 2));
  const dependencies = Object.fromEntries(files);
  write(join(path, 'package.json'), JSON.stringify({ dependencies, resolutions, ...manifest }));
  write(join(path, 'use.mjs'), USE);
  return path;
}

describe.skipIf(skipped !== null)(
  'the packages as strangers use them',
  { timeout: 600_000 },
  () => {
    beforeAll(() => {
      root = mkdtempSync(join(tmpdir(), 'm3l-stranger-'));
      for (const name of ['bin', 'home']) mkdirSync(join(root, name));
      symlinkSync(process.execPath, join(root, 'bin/node'));
      symlinkSync('/bin/sh', join(root, 'bin/sh'));
      packages = packPackages(join(root, 'packed'));
      folder = project('npm', { devDependencies: { '@types/node': '^20.19.43' } });
      expectDone(node([npm(), 'install', '--no-audit', '--no-fund']));
    }, 600_000);
    afterAll(() => rmSync(root, { recursive: true, force: true }));

    it.each(['node-20', 'node-22', 'node-24', 'node-26'])('01 run on %s', (version) => {
      const program = tool(version, 'bin/node');
      expectUsed(run(program, ['use.mjs']));
      const sum = "console.log(require('m3l').torch.ones([2]).sum().item())";
      expect(run(program, ['-e', sum]).all).toBe('2\n');
    });

    it('02 run on Bun', () => {
      expectUsed(run(tool('bun/bin/bun'), ['use.mjs']));
    });

    it('03 run on Deno', () => {
      expectUsed(run(tool('deno/deno'), ['run', '-A', '--node-modules-dir=manual', 'use.mjs']));
    });

    it('04 install with pnpm', () => {
      const path = project('pnpm');
      const store = ['--store-dir', join(root, 'store')];
      expectDone(node([tool('pnpm/bin/pnpm.cjs'), 'install', ...store], path));
      expectUsed(node(['use.mjs'], path));
    });

    it.each(['node-modules', 'pnp'])(
      '05 install with yarn, %s',
      (linker) => {
        const path = project(linker);
        write(join(path, '.yarnrc.yml'), `nodeLinker: ${linker}\nenableTelemetry: false\n`);
        write(join(path, 'yarn.lock'), '');
        const yarn = tool('yarn/bin/yarn.js');
        const settings = {
          YARN_ENABLE_IMMUTABLE_INSTALLS: 'false',
          YARN_NPM_REGISTRY_SERVER: registry.replace(/\/$/, ''),
        };
        expectDone(node([yarn, 'install'], path, settings));
        expectUsed(node([yarn, 'node', 'use.mjs'], path));
        expect(node([yarn, 'm3l', 'doctor'], path).all).toContain('m3l is ready.');
      },
      300_000,
    );

    it('06 run under the permission model, and say what is wrong where there is no libtorch', () => {
      const program = tool('node-24/bin/node');
      const flags = ['--permission', '--allow-addons', `--allow-fs-read=${folder}`];
      expectUsed(run(program, [...flags, 'use.mjs']));
      const main = 'node_modules/m3l/dist/cli/main.js';
      const trained = run(program, [...flags, main, 'train', 'rooms-demo', '--out', 'run']);
      expect(trained.all).toMatch(/--allow-fs-read .* It is about .*home\/\.cache\/m3l/);
      const libtorch = join(folder, 'node_modules/@m3l/libtorch-linux-x64');
      const aside = join(root, 'aside');
      renameSync(libtorch, aside);
      try {
        for (const given of [[], [...flags, '--allow-fs-read=*']]) {
          const { status, all } = run(program, [...given, 'use.mjs']);
          expect(status).toBe(1);
          expect(all).toContain('LibtorchNotFoundError: no usable libtorch was found. Tried:');
          expect(all).toContain('Mend: run `npm install @m3l/libtorch-linux-x64`');
          expect(all).not.toMatch(/ERR_ACCESS_DENIED|Access to this API/);
        }
      } finally {
        renameSync(aside, libtorch);
      }
    });

    it('07 run in two worker threads at once, beside the main one', () => {
      const program = `import { once } from 'node:events';
      import { Worker } from 'node:worker_threads';
      const workers = [0, 1].map(() => new Worker(new URL('./use.mjs', import.meta.url)));
      const ended = workers.map((worker) => once(worker, 'exit'));
      await import('./use.mjs');
      process.exitCode = Math.max(...(await Promise.all(ended)).map(([code]) => code));`;
      write(join(folder, 'workers.mjs'), program);
      const done = node(['workers.mjs']);
      expectUsed(done);
      expect(done.out.trim().split('\n')).toEqual(Array(3).fill(JSON.stringify(USED)));
    });

    it('07 keep a model in a worker of their own, for a CommonJS program too', () => {
      const model = `import { nn } from 'm3l';
      export default () => new nn.Linear(2, 3);`;
      const program = `const { join } = require('node:path');
      const { torch } = require('m3l');
      const { inWorker } = require('m3l/inference');
      inWorker(join(__dirname, 'model.mjs')).then(async (model) => {
        console.log((await model.forward(torch.ones([4, 2]))).shape);
        await model.close();
      });`;
      write(join(folder, 'model.mjs'), model);
      write(join(folder, 'model.cjs'), program);
      const programs = [
        [tool('node-20', 'bin/node'), 'model.cjs'],
        [tool('node-26', 'bin/node'), 'model.cjs'],
        [tool('bun/bin/bun'), 'model.cjs'],
        [tool('deno/deno'), 'run', '-A', '--node-modules-dir=manual', 'model.cjs'],
      ];
      for (const [name, ...args] of programs) {
        const { all } = run(name!, args);
        expect(all).toMatch(/\[ 4, 3 \]/);
      }
    });

    it.each(['forks', 'threads', 'vmThreads'])('08 run in vitest, %s', (pool) => {
      const program = `import { torch } from 'm3l';
      import { expect, it } from 'vitest';
      it('adds', () => expect(torch.ones([2]).add(1).toArray()).toEqual([2, 2]));`;
      for (const name of ['one', 'two']) write(join(folder, `vitest/${name}.test.mjs`), program);
      const settings = ['--pool', pool, '--maxWorkers=1', '--testTimeout=100000'];
      const args = [tool('vitest/vitest.mjs'), 'run', ...settings];
      const done = node(args, join(folder, 'vitest'), { NODE_PATH: tool(), NO_COLOR: '1' });
      expectDone(done);
      expect(done.all).toMatch(/Tests +2 passed/);
    });

    it.each(['esm', 'cjs'])('09 run beside a bundle of esbuild, %s', (format) => {
      const outfile = `out/esbuild.${format === 'esm' ? 'mjs' : 'cjs'}`;
      const bundle = ['use.mjs', '--bundle', '--platform=node', `--format=${format}`];
      const external = ['--external:m3l', `--outfile=${outfile}`];
      expectDone(run(tool('@esbuild/linux-x64/bin/esbuild'), [...bundle, ...external]));
      expectUsed(node([outfile]));
    });

    it('10 say so where they were bundled', () => {
      const bundle = ['use.mjs', '--bundle', '--platform=node', '--format=esm'];
      expectDone(
        run(tool('@esbuild/linux-x64/bin/esbuild'), [...bundle, '--outfile=out/inside.mjs']),
      );
      const { status, all } = node(['out/inside.mjs']);
      expect(status).toBe(1);
      expect(all).toMatch(/m3l was bundled into .*out\/inside\.mjs/);
      expect(all).toMatch(/Mend: leave m3l out of the bundle: .*--external:m3l/);
    });

    it('11 run beside what Vite built for a server', () => {
      const build = ['build', '--ssr', 'use.mjs', '--outDir', 'out/vite'];
      expectDone(node([tool('vite/bin/vite.js'), ...build]));
      expectUsed(node(['out/vite/use.mjs']));
    });

    it.each(['typescript-5', 'typescript-7'])('12 have types for %s', (typescript) => {
      write(join(folder, 'types/use.mts'), TYPED);
      write(join(folder, 'types/use.cts'), TYPED_COMMONJS);
      for (const resolution of ['node16', 'nodenext', 'bundler']) {
        const compilerOptions = {
          ...{ strict: true, noEmit: true, skipLibCheck: false, types: [] },
          ...{ target: 'es2022', lib: ['es2022'], moduleResolution: resolution },
          module: resolution === 'bundler' ? 'esnext' : resolution,
        };
        // Only where Node's newest is meant may CommonJS require what are ES modules.
        const files = ['use.mts', ...(resolution === 'nodenext' ? ['use.cts'] : [])];
        write(join(folder, 'types/tsconfig.json'), JSON.stringify({ compilerOptions, files }));
        expectDone(node([tool(typescript, 'bin/tsc'), '-p', 'types']));
      }
    });

    it('13 are as publint wants a package', () => {
      for (const name of NAMES.slice(0, 2)) {
        const publint = [tool('publint/src/cli.js'), packages[name as 'm3l'].file, '--strict'];
        const done = node(publint, root, { NO_COLOR: '1' });
        expectDone(done);
        expect(done.all).toContain('All good!');
      }
    });

    it('14 have types as attw wants them', () => {
      const attw = [tool('attw/dist/index.js'), packages.m3l.file, '--profile', 'esm-only'];
      expectDone(node(attw));
    });
  },
);
