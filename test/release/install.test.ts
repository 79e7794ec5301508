import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NAMES, npm, type Packages, packPackages, whyNoPackages } from './packed.js';

const skipped = whyNoPackages();
if (skipped !== null) console.warn(`the packed tarballs in an empty folder: skipped, ${skipped}`);

let project: string;
let packages: Packages;
let environment: NodeJS.ProcessEnv;

/** A program with nothing on its PATH but Node and a shell, and a home that is empty. */
function run(program: string, args: string[]) {
  return spawnSync(program, args, { cwd: project, env: environment, encoding: 'utf8' });
}

describe.skipIf(skipped !== null)('the packed tarballs in an empty folder', () => {
  beforeAll(() => {
    project = mkdtempSync(join(tmpdir(), 'm3l-release-'));
    const [bin, home, out] = ['bin', 'home', 'out'].map((name) => join(project, name));
    for (const folder of [bin, home]) mkdirSync(folder!);
    symlinkSync(process.execPath, join(bin!, 'node'));
    symlinkSync('/bin/sh', join(bin!, 'sh'));
    const cache = spawnSync('npm', ['config', 'get', 'cache'], { encoding: 'utf8' }).stdout.trim();
    environment = {
      ...{ PATH: bin, HOME: home, OMP_NUM_THREADS: '1', NO_UPDATE_NOTIFIER: '1' },
      ...{ npm_config_cache: cache, npm_config_prefer_offline: 'true', npm_config_audit: 'false' },
    };
    packages = packPackages(out!);
    const files = Object.values(packages).map(({ file }) => file);
    const installed = run(process.execPath, [npm(), 'install', '--no-fund', ...files]);
    expect(installed.status, installed.stderr).toBe(0);
  }, 600_000);
  afterAll(() => rmSync(project, { recursive: true, force: true }));

  it('01 are small enough', () => {
    expect(packages.m3l.bytes).toBeLessThan(950_000);
    expect(packages['@m3l/linux-x64'].bytes).toBeLessThan(6_000_000);
    expect(packages['@m3l/linux-x64'].version).toBe(packages.m3l.version);
    expect(packages['@m3l/libtorch-linux-x64'].version).toMatch(/^2\.\d+\.\d+$/);
    const modules = join(project, 'node_modules');
    for (const absent of ['m3l/binding', 'm3l/CMakeLists.txt', 'm3l/dist/.tsbuildinfo']) {
      expect(existsSync(join(modules, absent)), absent).toBe(false);
    }
    const licences = NAMES.flatMap((name) => [`${name}/LICENSE`, `${name}/NOTICE`]);
    const parts = '@m3l/libtorch-linux-x64/licenses/third_party/onnx/LICENSE';
    for (const there of [...licences, parts]) {
      expect(existsSync(join(modules, there)), there).toBe(true);
    }
  });

  it('02 train', () => {
    writeFileSync(
      join(project, 'program.mjs'),
      `import { nn, optim, torch } from 'm3l';
       torch.manualSeed(0);
       const layer = new nn.Linear(3, 1);
       const optimizer = new optim.SGD(layer.parameters(), { lr: 0.1 });
       const x = torch.randn([64, 3]);
       const y = x.sum([1], true);
       const losses = [];
       for (let step = 0; step < 50; step++) torch.scope(() => {
         optimizer.zeroGrad();
         const loss = torch.mseLoss(layer.forward(x), y);
         loss.backward();
         optimizer.step();
         losses.push(loss.item());
       });
       console.log(JSON.stringify([losses[0], losses.at(-1)]));`,
    );
    const { stdout, stderr } = run(process.execPath, ['program.mjs']);
    expect(stderr).toBe('');
    const [first, last] = JSON.parse(stdout) as number[];
    expect(last).toBeLessThan(0.01 * first!);
  });

  it('03 doctor finds all in node_modules and speaks of no compiler', () => {
    const { stdout, stderr } = run(process.execPath, [
      ...[npm(), 'exec', '--offline', '--', 'm3l', 'doctor', '--json'],
    ]);
    const { ok, checks } = JSON.parse(stdout) as {
      ok: boolean;
      checks: { name: string; status: string; found: string }[];
    };
    expect(ok, stderr + stdout).toBe(true);
    const found = checks.find(({ name }) => name === 'libtorch')?.found;
    expect(found).toMatch(/from package: .*node_modules\/@m3l\/libtorch-linux-x64, in use/);
    expect(checks.map(({ name }) => name)).not.toContain('cmake');
  });

  it('04 render rooms', () => {
    const sizes = '--labelled 2 --unlabelled 1 --val 1 --size 24x32'.split(' ');
    const args = [npm(), 'exec', '--offline', '--', 'm3l', 'rooms', 'rooms', ...sizes];
    const { status, stderr } = run(process.execPath, args);
    expect(status, stderr).toBe(0);
    expect(existsSync(join(project, 'rooms', 'val.txt'))).toBe(true);
  });

  it('05 run under the permission model with the folder and addons allowed', () => {
    const [major = 0] = process.versions.node.split('.').map(Number);
    const flag = major < 23 ? '--experimental-permission' : '--permission';
    const allowed = ['--allow-addons', `--allow-fs-read=${project}`, '--no-warnings'];
    const program = `import { torch } from 'm3l'; console.log(torch.ones([2, 3]).sum().item());`;
    writeFileSync(join(project, 'sum.mjs'), program);
    const { stdout, stderr } = run(process.execPath, [flag, ...allowed, join(project, 'sum.mjs')]);
    expect(stdout, stderr).toBe('6\n');
    const forbidden = run(process.execPath, [flag, ...allowed.slice(1), join(project, 'sum.mjs')]);
    expect(forbidden.stderr).toContain('start Node with --allow-addons');
  });
});
