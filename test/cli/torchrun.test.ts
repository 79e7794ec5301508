import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { libtorch } from '../../dist/torch/native.js';
import { main } from './m3l.js';
import { expectAsAlone, trainAlone } from './shared-training.js';

// One tiny training in one process, and in two that PyTorch's own launcher starts, on one host and on two.

const RUN = ['-m', 'torch.distributed.run'];
// Where python3 has no PyTorch, the wheel that libtorch came in is one.
const { NODE_OPTIONS: _, ...environment } = process.env;
const wheel = dirname(libtorch().folder);
const env = [
  environment,
  { ...environment, PYTHONPATH: [wheel, environment.PYTHONPATH ?? []].flat().join(delimiter) },
].find((each) => spawnSync('python3', [...RUN, '--help'], { env: each }).status === 0);
const torchrun = env !== undefined;
if (!torchrun) console.log('skipped: python3 has no torch.distributed.run (pip install torch)');

const hosts = [0, 1].map((i) => ({ name: `m3l-${process.pid}-${i}`, address: `10.93.7.${i + 1}` }));
const links = hosts.map((_, i) => `m3l${i}-${process.pid}`);
const namespaces = torchrun && spawnSync('ip', ['netns', 'add', hosts[0]!.name]).status === 0;
if (torchrun && !namespaces) console.log("skipped: 'ip netns add' needs root and iproute2");

let folder: string;
let config: string;

beforeAll(async () => {
  if (!torchrun) return;
  folder = mkdtempSync(join(tmpdir(), 'm3l-torchrun-'));
  ({ config } = await trainAlone(folder));
}, 120_000);

afterAll(() => {
  if (folder) rmSync(folder, { recursive: true, force: true });
  if (namespaces) for (const { name } of hosts) spawnSync('ip', ['netns', 'del', name]);
});

interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

function launch(
  program: string,
  args: readonly string[],
  onStderr: (text: string) => void = () => {},
): Promise<Ended> {
  const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
    onStderr(stderr);
  });
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, stdout, stderr })));
}

const training = (name: string) =>
  [
    ...['--no-python', process.execPath, main, 'train', config, '--out', join(folder, name)],
    ...['--resume', '--no-check', '--timeout', '30'],
  ] as const;

describe.skipIf(!torchrun)('torchrun --no-python m3l train', { timeout: 120_000 }, () => {
  it('has the losses of one process', async () => {
    const args = [...RUN, '--standalone', '--nproc-per-node', '2', ...training('two')];
    const { code, stderr } = await launch('python3', args);
    expect(code, stderr).toBe(0);
    expectAsAlone(folder, 'two');
  });

  it('shares the trainings of a suite, and one process tells of all', async () => {
    const suite = join(folder, 'suite.yaml');
    writeFileSync(suite, 'seeds: [1, 2, 3]\nexperiments: { tiny: { config: tiny.yaml } }\n');
    const { code, stdout, stderr } = await launch('python3', [
      ...[...RUN, '--standalone', '--nproc-per-node', '2', '--no-python', process.execPath, main],
      ...['benchmark', suite, '--out', join(folder, 'suite'), '--set', 'iterations=2', '--json'],
    ]);
    expect(code, stderr).toBe(0);
    const { rows } = JSON.parse(stdout);
    expect(rows).toMatchObject([{ experiment: 'tiny', failed: [] }]);
    expect(rows[0].all.values).toHaveLength(3);
    for (const seed of [1, 2, 3]) {
      expect(stderr.match(new RegExp(`seed ${seed} begins`, 'g')), stderr).toHaveLength(1);
    }
  });

  it.skipIf(!namespaces)('goes on where a process of two hosts is killed', async () => {
    const ip = (...args: string[]) => execFileSync('ip', args);
    const [one, other] = hosts as [(typeof hosts)[0], (typeof hosts)[0]];
    ip('netns', 'add', other.name);
    const peer = ['peer', 'name', links[1]!, 'netns', other.name];
    ip('link', 'add', links[0]!, 'netns', one.name, 'type', 'veth', ...peer);
    for (const [i, { name, address }] of hosts.entries()) {
      ip('-n', name, 'addr', 'add', `${address}/24`, 'dev', links[i]!);
      for (const link of ['lo', links[i]!]) ip('-n', name, 'link', 'set', link, 'up');
    }
    let killed = false;
    const killOther = (stderr: string) => {
      if (killed || !/m3l +[2-6]\/6 /.test(stderr)) return;
      const ids = execFileSync('ip', ['netns', 'pids', other.name], { encoding: 'utf8' });
      for (const id of ids.trim().split('\n').map(Number)) {
        if (!readFileSync(`/proc/${id}/environ`, 'utf8').includes('\0RANK=')) continue;
        process.kill(id, 'SIGKILL');
        killed = true;
      }
    };
    const ends = await Promise.all(
      hosts.map(({ name, address }, i) => {
        const args = [
          ...['netns', 'exec', name, 'python3', ...RUN, '--nnodes', '2', '--nproc-per-node', '1'],
          ...['--rdzv-backend', 'c10d', '--rdzv-id', 'two', '--rdzv-endpoint', one.address],
          ...['--rdzv-conf', `is_host=${1 - i}`, '--local-addr', address, '--max-restarts', '1'],
          ...training(`host-${i}`),
        ];
        return launch('ip', args, killOther);
      }),
    );
    for (const { code, stderr } of ends) expect(code, stderr).toBe(0);
    expect(killed).toBe(true);
    const told = ends.map(({ stderr }) => stderr).join('\n');
    expect(told).toContain('rank 1 has ended');
    expectAsAlone(folder, 'host-0');
  });
});
