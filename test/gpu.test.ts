import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { type TorchBuild, torchBuild } from '../dist/torch/addon.js';
import { libtorch } from '../dist/torch/native.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const { folder: wheel, version } = libtorch();
const { kernels } = torchBuild(version) as TorchBuild;
const out = mkdtempSync(join(tmpdir(), 'm3l-gpu-'));
afterAll(() => rmSync(out, { recursive: true, force: true }));

const environment = {
  ...process.env,
  OUT: out,
  OMP_NUM_THREADS: '1',
  PYTHONPATH: [dirname(wheel), process.env.PYTHONPATH].filter(Boolean).join(delimiter),
  PYTHONDONTWRITEBYTECODE: '1',
};
const python = (...args: string[]) =>
  spawnSync('python3', args, { cwd: root, env: environment, encoding: 'utf8' });

/** A script's functions. */
const script = (name: string) => import(new URL(`../scripts/${name}`, import.meta.url).href);

/** Why the check cannot run here, or null. */
function missing(): string | null {
  if (!existsSync(join(wheel, '__init__.py'))) return `${wheel} has no Python part`;
  const { status, error, stderr } = python('-c', 'import torch');
  if (error) return `python3 does not start: ${error.message}`;
  return status === 0 ? null : `python3 cannot import torch: ${stderr.trim().split('\n').at(-1)}`;
}

describe('what a machine with a GPU is brought', () => {
  it('01 is what tests, benchmarks and the build of the addon read, and no more', async () => {
    const { modulesToBring } = await script('gpu/files.mjs');
    const folders: string[] = modulesToBring(root);
    const names = ['vitest', 'sharp', 'zod', 'node-addon-api', 'node-api-headers', 'vite'];
    expect(folders).toEqual(expect.arrayContaining(names.map((name) => `node_modules/${name}`)));
    expect(folders.filter((folder) => !existsSync(join(root, folder)))).toEqual([]);
    expect(folders.filter((folder) => /typescript|electron|biome|playwright/.test(folder))).toEqual(
      [],
    );
  });
});

const reason = missing();
if (reason !== null) console.warn(`gpu: the twins are skipped: ${reason}`);

describe.skipIf(reason !== null)('the check of a GPU, on the CPU', () => {
  it('11 finds every operator equal to itself, and keeps what it found', () => {
    const options = ['--device', 'cpu', '--only', 'twin', '--kernels', kernels];
    const { status, stdout } = python('scripts/gpu/check.py', ...options);
    expect([status, stdout.includes('== twin: ok')], stdout).toEqual([0, true]);
    const results = JSON.parse(readFileSync(join(out, 'results.json'), 'utf8'));
    expect(results.twin.failures).toEqual([]);
    expect(results.twin.checks).toBeGreaterThan(400);
    expect(results.machine.device).toBe('cpu');
  });

  it('12 tells a step that fails or runs past its limit, and goes on', () => {
    const program = `
import sys; sys.path.insert(0, 'scripts/gpu')
import argparse, check
found = check.Check(argparse.Namespace(seconds=60, device='cpu'))
found.step('fails', 10, ['python3', '-c', 'print(7); raise SystemExit(3)'])
found.step('hangs', 3, ['python3', '-c', 'import time; print(8, flush=True); time.sleep(60)'])
found.step('works', 10, ['true'])
`;
    const { status, stderr, stdout } = python('-c', program);
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/fails: FAILED.*hangs: FAILED.*works: ok/s);
    const { steps } = JSON.parse(readFileSync(join(out, 'results.json'), 'utf8'));
    expect(steps.map(({ ok }: { ok: boolean }) => ok)).toEqual([false, false, true]);
    expect(steps[0].told).toBe('7\n');
    expect(steps[1].told).toBe('stopped by its limit\n8\n');
  });
});

describe('the report', () => {
  const page = readFileSync(join(root, 'docs', 'gpu.md'), 'utf8');

  it('21 has no figure where nothing ran', async () => {
    const { withResults } = await script('gpu-report.mjs');
    expect(withResults(page, null)).toContain('Not run on a GPU yet: there are no figures.');
    expect(() => withResults('no marks', null)).toThrow(/gpu: begin/);
  });

  it('22 has those that were found', async () => {
    const { withResults } = await script('gpu-report.mjs');
    const results = {
      machine: { device: 'D', torch: '2.14' },
      steps: [{ name: 'twin', ok: false, seconds: 4, told: '' }],
      seconds: 9,
      twin: {
        checks: 3,
        failures: ['linear_fuse: 1 > 0'],
        times: [{ name: 'copy', ms: null, gigabytesPerSecond: 3000, share: 1 }],
      },
      bench: [
        { name: 'cuda-step-b2-540', ours: 50, peer: 100, ratio: 0.5, unit: 'ms', withoutGraph: 60 },
        { name: 'cuda-step-b2-540-bfloat16', ours: 10, peer: 40, ratio: 0.25, unit: 'ms' },
      ],
      operators: { add: 'equal', sub: 'wrong' },
      operatorFaults: ['sub: the values differ'],
    };
    const found = withResults(page, results);
    expect(found).not.toContain('there are no figures');
    for (const text of [
      '| device | D |',
      '- linear_fuse: 1 > 0',
      '| cuda-step-b2-540 | 60.0 | 50.0 | 100 | 2.00 × | 2.00 × | – | – | – |',
      '| cuda-step-b2-540-bfloat16 | – | 10.0 | 40.0 | 4.00 × | 10.0 × | – | – | – |',
      '| copy | – | 3000 | 100 % |',
      'database on the device: 1 of 2 equal',
      '- sub: the values differ',
    ]) {
      expect(found).toContain(text);
    }
  });
});

const { nvcc } = (await script('compile-cuda.mjs')).findNvcc();

describe('the count of instructions', () => {
  it('31 knows a kernel by its name and types, and leaves layouts out', async () => {
    const { kernelOf } = await script('gpu/sass.mjs');
    const inside = 'm3l::cuda::(anonymous namespace)::';
    const layout = `${inside}Layout<32, 2, 1>`;
    const norm = `void ${inside}NormForwardKernel<${layout}, float, __nv_bfloat16>(m3l::cuda::NormForward<float>)`;
    expect(kernelOf(norm)).toEqual({ name: 'NormForwardKernel', types: 'float, bfloat16' });
    const plain = `${inside}CountPixels(long const*, float)`;
    expect(kernelOf(plain)).toEqual({ name: 'CountPixels', types: '' });
  });

  it('32 reads what ptxas and cuobjdump print', async () => {
    const { instructionsPrinted, registersTold } = await script('gpu/sass.mjs');
    const told = `ptxas info    : Compiling entry function '_Z1kv' for 'sm_90'
ptxas info    : Function properties for _Z1kv
    8 bytes stack frame, 12 bytes spill stores, 8 bytes spill loads
ptxas info    : Used 104 registers, used 1 barriers`;
    expect([...registersTold(told)]).toEqual([['_Z1kv', { registers: 104, spilled: 12 }]]);
    const printed = `\t\tFunction : _Z1kv
\t.headerflags\t@"EF_CUDA_SM90"
        /*0000*/                   LDC R1, c[0x0][0x28] ;       /* 0x00000a00ff017b82 */
                                                                /* 0x000e620000000800 */
        /*0010*/              @!P0 EXIT ;                       /* 0x000000000000094d */
                                                                /* 0x000fea0003800000 */
        /*0020*/                   BRA 0x20;                    /* 0xfffffffc00fc7947 */
                                                                /* 0x000fc0000383ffff */
        /*0030*/                   NOP;                         /* 0x0000000000007918 */
                                                                /* 0x000fc00000000000 */`;
    expect([...instructionsPrinted(printed)]).toEqual([['_Z1kv', 3]]);
  });

  if (nvcc === null) console.warn('gpu: instructions are not counted here, there is no nvcc');
  it.skipIf(nvcc === null)('33 counts as many more as a kernel has more', async () => {
    const { instructionsOf } = await script('gpu/sass.mjs');
    const count = (additions: number) => {
      const more = 'asm volatile("add.f32 %0, %0, %1;" : "+f"(x) : "f"(y));'.repeat(additions);
      const text = `extern "C" __global__ void k(float* to, float y) { float x = *to; ${more} *to = x; }`;
      const [source, cubin] = [join(out, 'k.cu'), join(out, 'k.cubin')];
      writeFileSync(source, text);
      const args = ['-arch=sm_90', '-cubin', source, '-o', cubin];
      expect(spawnSync(nvcc, args).status).toBe(0);
      return instructionsOf(readFileSync(cubin)).get('k');
    };
    expect(count(1000) - count(200)).toBe(800);
    expect(() => instructionsOf(Buffer.from('text'))).toThrow(/ELF/);
  });

  it.skipIf(nvcc === null)('34 counts what a loop has, and the inner one alone', async () => {
    const { loopsOf } = await script('gpu/sass.mjs');
    const count = (inner: number, outer: number) => {
      const more = (additions: number) =>
        'asm volatile("add.f32 %0, %0, %1;" : "+f"(x) : "f"(y));'.repeat(additions);
      const loop = (body: string) => `_Pragma("unroll 1") for (int i = 0; i < n; ++i) { ${body} }`;
      const text = `extern "C" __global__ void k(float* to, float y, int n) { float x = *to;
        ${loop(`${more(outer)} ${loop(more(inner))}`)} *to = x; }`;
      const [source, cubin] = [join(out, 'k.cu'), join(out, 'k.cubin')];
      writeFileSync(source, text);
      expect(spawnSync(nvcc, ['-arch=sm_90', '-cubin', source, '-o', cubin]).status).toBe(0);
      return loopsOf(readFileSync(cubin)).get('k');
    };
    expect(count(1000, 0) - count(200, 0)).toBe(800);
    expect(count(200, 500)).toBe(count(200, 0));
  });
});
