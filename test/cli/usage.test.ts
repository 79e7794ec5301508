import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { m3l, main } from './m3l.js';

let empty: string;

beforeAll(() => {
  empty = mkdtempSync(join(tmpdir(), 'm3l-usage-'));
});

afterAll(() => rmSync(empty, { recursive: true, force: true }));

describe('m3l', () => {
  it('01 tells its version and commands', async () => {
    const help = await m3l(['--help']);
    expect(help.code).toBe(0);
    for (const command of [
      'train',
      'pretrain',
      'evaluate',
      'runs',
      'compare',
      'robustness',
      'predict',
      'view',
      'verify',
      'rooms',
      'doctor',
    ]) {
      expect(help.stdout).toContain(command);
    }
    const version = await m3l(['--version']);
    expect(version.stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  it('02 answers bad usage with exit code 2 and no stack', async () => {
    for (const args of [['trian'], ['train'], ['train', '--nonsense'], ['predict', 'run']]) {
      const { code, stderr } = await m3l(args, { cwd: empty });
      expect(code, args.join(' ')).toBe(2);
      expect(stderr).not.toMatch(/^\s+at /m);
    }
    expect((await m3l(['trian'])).stderr).toContain('train');
  });

  it('03 answers a slip in any command with what was meant, before any work', async () => {
    const slips: [line: string, found: string][] = [
      ['trian', '(Did you mean train?)'],
      ['compare-framework', '(Did you mean compare-frameworks?)'],
      ['libtorch instal', '(Did you mean install?)'],
      ['libtorch install --variant cpus', "Did you mean 'cpu'?"],
      ['doctor --jsn', '(Did you mean --json?)'],
      ['doctor now', 'Expected 0 arguments but got 1. (now)'],
      ['train a.yaml b.yaml', '(a.yaml b.yaml)'],
      ['train a.yaml --rseume', '(Did you mean --resume?)'],
      ['train a.yaml --out --resume', "needs a value, found '--resume'"],
      ['train a.yaml --set --json', "needs a value, found '--json'"],
      ['train --set seed=2 a.yaml', 'a.yaml does not exist'],
      ['train --set a.yaml', 'expected key=value'],
      ['evaluate', "missing required argument 'run'"],
      ['evaluate --missing depth', 'put <run> first'],
      ['evaluate run --missing --json', "needs a value, found '--json'"],
      ['evaluate run --missing depth --subset', '(Did you mean --subsets?)'],
      ['evaluate run --missing depth --subsets', 'exclude each other'],
      ['evaluate run --fill zeroes', "Did you mean 'zeros'?"],
      ['evaluate run --checkpoint lastest', "Did you mean 'latest'?"],
      ['predict run --rgb a.png', "'--out <image>' not specified"],
      ['predict run --out a.png', 'Give at least one image'],
      ['predict run --out a.png --rgb a --modality rgb=b', 'drop one'],
      ['predict run --out a.png --modality depth', 'expected name=image'],
      ['predict run --out a.png --rgb --depth b', "needs a value, found '--depth'"],
      ['predict run --out a.png --rgb b --device cdua', "Did you mean 'cuda'?"],
      ['predict --overlay run --out a.png --rgb b', 'put <run> first'],
      ['verify', "missing required argument 'files'"],
      ['verify a --device gpu', 'Expected cpu, cuda or cuda:N'],
      ['rooms out --labelled many', 'whole number from 1'],
      ['rooms out --val -1', 'whole number from 1'],
      ['rooms out --seed 1.5', 'whole number from 0'],
      ['rooms out --size 12', 'HEIGHTxWIDTH'],
      ['rooms out --camouflage 2', 'a number from 0 to 1'],
      ['rooms out --depth-noise loud', 'a number of at least 0'],
      ['rooms out --workers 1000', 'whole number from 0 to 64'],
      [
        'serve run --hang 0',
        "'--hang <seconds>' argument '0' is invalid. Expected a number above 0",
      ],
      ['serve run --timeout 0', 'a number above 0, at most 86400'],
      ['predict run --stall 0', 'a number above 0, at most 3600'],
      ['compare-frameworks a.yaml --framework m3l', '(Did you mean --frameworks?)'],
      ['compare-frameworks --frameworks m3l a.yaml', 'a.yaml does not exist'],
    ];
    for (const [line, found] of slips) {
      const { code, stderr, stdout } = await m3l([...line.split(' '), '--json'], { cwd: empty });
      expect(code, line).toBe(2);
      expect(stderr, line).toContain(found);
      expect(stderr, line).not.toMatch(/^\s+at /m);
      expect(JSON.parse(stdout).error.message, line).toContain(found);
    }
    expect(readdirSync(empty)).toEqual([]);
  });

  it('04 shows every option and an example in the help of each command', async () => {
    const commands = ['train', 'evaluate', 'robustness', 'predict'];
    commands.push('compare-frameworks', 'rooms', 'verify');
    for (const command of commands) {
      const { code, stdout } = await m3l([command, '--help']);
      expect(code).toBe(0);
      expect(stdout).toContain('--json');
      expect(stdout).toContain(`Examples:\n  m3l ${command}`);
    }
  });

  it('05 loads nothing heavy for its help', async () => {
    const { stderr } = await m3l(['--help'], { env: { NODE_DEBUG: 'esm,module' } });
    // The names of the fills are a file of their own, which imports nothing.
    const light = 'models\\/missing-modalities\\/fills\\.js';
    const heavy = `dist\\/(?!${light})(torch\\/tensor|learning|models|data)\\b`;
    expect(stderr).not.toMatch(new RegExp(heavy));
  });

  it('06 names a missing run and a missing configuration', async () => {
    const evaluate = await m3l(['evaluate', 'absent', '--json'], { cwd: empty });
    expect(evaluate.code).toBe(1);
    expect(evaluate.stderr).toContain('absent does not exist');
    expect(JSON.parse(evaluate.stdout).error.code).toBe('M3L_RUN_MISSING');
    const train = await m3l(['train', 'absent.yaml'], { cwd: empty });
    expect(train.code).toBe(2);
    expect(train.stderr).toContain('absent.yaml does not exist');
  });

  it('07 shows the stack where M3L_DEBUG asks for it', async () => {
    const { stderr } = await m3l(['evaluate', 'absent'], { cwd: empty, env: { M3L_DEBUG: '1' } });
    expect(stderr).toMatch(/^\s+at /m);
  });
});

describe('m3l doctor', () => {
  it('08 finds what is there', async () => {
    const { code, stdout } = await m3l(['doctor', '--json']);
    const { ok, checks } = JSON.parse(stdout) as {
      ok: boolean;
      checks: { name: string; status: string }[];
    };
    expect(code).toBe(ok ? 0 : 1);
    const named = Object.fromEntries(checks.map(({ name, status }) => [name, status]));
    expect(named).toMatchObject({ 'Node.js': 'ok', libtorch: 'ok', addon: 'ok' });
  });

  it('09 says what was tried and how to mend it where there is no libtorch', async () => {
    // No python3 on the PATH, so that Python's torch is not found either.
    const env = { M3L_HOME: join(empty, 'home'), LIBTORCH: join(empty, 'none'), PATH: empty };
    const { code, stdout } = await m3l(['doctor'], { env });
    expect(code).toBe(1);
    expect(stdout).toContain(join(empty, 'none'));
    expect(stdout).toContain('→ run `npx m3l libtorch install`');
    expect(stdout).toContain('Python 3 is not installed: libtorch is fetched without pip');
  });
});

describe('m3l whose stderr is closed', () => {
  it('12 goes on with its work', () => {
    // The reader ends at once: the next line of progress meets a closed pipe.
    const out = join(empty, 'unwatched');
    const command = `"$0" "$1" rooms ${out} --labelled 1 --unlabelled 0 --val 1 --size 24x32 2>&1 >/dev/null`;
    const { status } = spawnSync('bash', [
      '-c',
      `${command} | true; exit "\${PIPESTATUS[0]}"`,
      process.execPath,
      main,
    ]);
    expect(status).toBe(0);
    expect(existsSync(join(out, 'val.txt'))).toBe(true);
  });
});

describe('m3l libtorch', () => {
  it('10 prints where it is', async () => {
    const { code, stdout } = await m3l(['libtorch', 'path', '--json']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout).library).toMatch(/libtorch\.so$/);
  });

  it('11 refuses an unknown variant', async () => {
    const { code, stderr } = await m3l(['libtorch', 'install', '--variant', 'rocm']);
    expect(code).toBe(2);
    expect(stderr).toContain('cpu or cu130');
  });
});
