import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statfsSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { dirname } from 'node:path';
import { cacheFolder, libtorchCandidates, type Refusals } from '../torch/libtorch.js';

/** One thing that was looked at. `warn` does not keep m3l from working. */
export interface Check {
  name: string;
  status: 'ok' | 'warn' | 'fail';
  found: string;
  /** One line that mends it, where it needs mending. */
  fix: string | null;
}

interface Tools {
  buildTools(): { name: string; ok: boolean; found: string; fix: string | null }[];
}

interface Loaded {
  version: string;
  folder: string;
  sum: number;
  cuda: string[];
  milliseconds: number;
}

const GIGABYTE = 2 ** 30;

/** Looks at everything m3l needs. Loads libtorch in a child process, which may even crash. */
export async function examine(): Promise<Check[]> {
  const script = new URL('../../scripts/tools.mjs', import.meta.url);
  const tools = (await import(script.href)) as Tools;
  const loaded = loadInChild();
  return [
    node(),
    platform(),
    ...libtorch(),
    addon(loaded),
    gpu(loaded),
    memory(),
    disk(),
    // A published package has its addon built: without the tools it still works.
    ...tools.buildTools().map(
      ({ name, ok, found, fix }): Check => ({
        name,
        status: ok ? 'ok' : typeof loaded === 'string' ? 'fail' : 'warn',
        found,
        fix,
      }),
    ),
  ];
}

function node(): Check {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const ok = major > 20 || (major === 20 && minor >= 11);
  return {
    name: 'Node.js',
    status: ok ? 'ok' : 'fail',
    found: process.version,
    fix: ok ? null : 'Install Node.js 20.11 or newer: https://nodejs.org',
  };
}

function platform(): Check {
  const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } };
  const glibc = header.glibcVersionRuntime;
  const ok = process.platform === 'linux' && glibc !== undefined;
  return {
    name: 'platform',
    status: ok ? 'ok' : 'fail',
    found: `${process.platform}-${process.arch}${glibc === undefined ? '' : `, glibc ${glibc}`}`,
    fix: ok ? null : 'Use Linux with glibc (not musl): torch has no wheels for anything else here.',
  };
}

function libtorch(): Check[] {
  const tried: Refusals = [];
  const found = [...libtorchCandidates(tried)];
  const none = found.length === 0;
  return [
    {
      name: 'libtorch',
      status: none ? 'fail' : 'ok',
      found: [
        ...found.map(
          ({ version, folder, source }) => `${version ?? '?'} from ${source}: ${folder}`,
        ),
        ...tried.map((line) => (none ? line : `(${line})`)),
      ].join('\n'),
      fix: none ? 'm3l libtorch install' : null,
    },
  ];
}

/** The addon's facts, or why it does not load. */
function loadInChild(): Loaded | string {
  const program = `
    const started = performance.now();
    const torch = await import(${JSON.stringify(new URL('../torch/index.js', import.meta.url).href)});
    const { libtorch } = await import(${JSON.stringify(new URL('../torch/native.js', import.meta.url).href)});
    const { native } = await import(${JSON.stringify(new URL('../data/native.js', import.meta.url).href)});
    native();
    const sum = torch.ones([2, 3]).sum().item();
    const cuda = torch.cuda.isAvailable() ? ['cuda:0'] : [];
    const { version, folder } = libtorch();
    const milliseconds = Math.round(performance.now() - started);
    console.log(JSON.stringify({ version, folder, sum, cuda, milliseconds }));`;
  const { status, signal, stdout, stderr } = spawnSync(
    process.execPath,
    ['--input-type=module', '--eval', program],
    { encoding: 'utf8', timeout: 60_000 },
  );
  if (status === 0) return JSON.parse(stdout) as Loaded;
  const message = stderr.split('\n').find((line) => /error/i.test(line));
  return message?.trim() ?? `loading it ended with ${signal ?? `exit code ${status}`}`;
}

function addon(loaded: Loaded | string): Check {
  if (typeof loaded !== 'string' && loaded.sum === 6) {
    const found = `loads with libtorch ${loaded.version} in ${loaded.milliseconds} ms and computes`;
    return { name: 'addon', status: 'ok', found, fix: null };
  }
  const found =
    typeof loaded === 'string' ? loaded : `computes wrongly: 1+1+1+1+1+1 = ${loaded.sum}`;
  const fix = /LIBTORCH_NOT_FOUND|no usable libtorch/.test(found)
    ? 'm3l libtorch install'
    : 'npm run setup (in the package folder: builds the addon)';
  return { name: 'addon', status: 'fail', found, fix };
}

function gpu(loaded: Loaded | string): Check {
  const name = 'GPU';
  if (typeof loaded !== 'string' && loaded.cuda.length > 0) {
    return { name, status: 'ok', found: loaded.cuda.join(', '), fix: null };
  }
  const present = existsSync('/dev/nvidia0');
  return {
    name,
    status: present ? 'warn' : 'ok',
    found: present ? 'an NVIDIA GPU that this libtorch does not use' : 'none, the CPU is used',
    fix: present ? 'm3l libtorch install --variant cu130' : null,
  };
}

function memory(): Check {
  const available = availableMemory();
  const few = available < 2 * GIGABYTE;
  return {
    name: 'memory',
    status: few ? 'warn' : 'ok',
    found: `${gigabytes(available)} of ${gigabytes(totalmem())} free, ${availableParallelism()} cores`,
    fix: few ? 'Close other programs: training needs about 2 GB.' : null,
  };
}

function availableMemory(): number {
  try {
    const kilobytes = readFileSync('/proc/meminfo', 'utf8').match(/^MemAvailable:\s+(\d+)/m)?.[1];
    return Number(kilobytes) * 1024;
  } catch {
    return totalmem();
  }
}

function disk(): Check {
  let folder = cacheFolder();
  while (!existsSync(folder)) folder = dirname(folder);
  const { bavail, bsize } = statfsSync(folder);
  const free = bavail * bsize;
  const few = free < 2 * GIGABYTE;
  return {
    name: 'disk',
    status: few ? 'warn' : 'ok',
    found: `${gigabytes(free)} free in ${folder}`,
    fix: few ? 'Free some space, or set M3L_HOME to a folder on a larger disk.' : null,
  };
}

function gigabytes(bytes: number): string {
  return `${(bytes / GIGABYTE).toFixed(1)} GB`;
}
