import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import { freeBytes } from '../libtorch/disk.js';
import { builtMinors } from '../torch/addon.js';
import { addonMend, glibcVersion, isClone, libtorchMend } from '../torch/installation.js';
import {
  cacheFolder,
  gpuVisible,
  type Libtorch,
  libtorchCandidates,
  type Refusals,
} from '../torch/libtorch.js';
import { processesForbidden, readingForbidden } from '../torch/permission.js';
import { load, type Outcome } from './load-probe.js';
import { tools } from './tools.js';

/** One thing that was looked at. `warn` does not keep m3l from working. */
export interface Check {
  name: string;
  status: 'ok' | 'warn' | 'fail';
  found: string;
  /** One line that mends it, where it needs mending. */
  fix: string | null;
}

const GIGABYTE = 2 ** 30;
const LOADING_SECONDS = 120;

/** Looks at everything m3l needs. Loads libtorch in a child process, which may even crash. */
export async function examine(): Promise<Check[]> {
  const outcome = processesForbidden() === null ? loadInChild() : load(() => {});
  return [
    node(),
    platform(),
    libtorch(outcome),
    native(outcome),
    gpu(outcome),
    memory(),
    disk(),
    ...(isClone() ? await builders(outcome) : []),
  ];
}

/** What a build needs; without it a clone that is built still works. */
async function builders(outcome: Outcome): Promise<Check[]> {
  const missing = 'loaded' in outcome ? 'warn' : 'fail';
  return (await tools()).buildTools().map(({ name, optional, ok, found, fix }) => ({
    ...{ name, status: ok ? 'ok' : optional ? 'warn' : missing },
    ...{ found, fix },
  }));
}

/** One that m3l does not support gets no further than the command line's first line. */
function node(): Check {
  return { name: 'Node.js', status: 'ok', found: process.version, fix: null };
}

function platform(): Check {
  const glibc = glibcVersion();
  const ok = process.platform === 'linux' && glibc !== null;
  return {
    name: 'platform',
    status: ok ? 'ok' : 'fail',
    found: `${process.platform}-${process.arch}${glibc === null ? '' : `, glibc ${glibc}`}`,
    fix: ok ? null : 'Use Linux with glibc (not musl): torch has no wheels for anything else here.',
  };
}

/** Every candidate: the one in use, those after it, and why others do not do. */
function libtorch(outcome: Outcome): Check {
  const name = 'libtorch';
  const searched: Refusals = [];
  const found = [...libtorchCandidates(searched)];
  const told = ({ version, folder, source }: Libtorch) =>
    `${version ?? '?'} from ${source}: ${folder}`;
  if ('loaded' in outcome) {
    const { folder, passedOver } = outcome.loaded;
    const used = found.findIndex((candidate) => candidate.folder === folder);
    const refusals = [...new Set([...passedOver, ...searched])];
    const lines = [
      ...found.slice(Math.max(used, 0)).map((one, at) => told(one) + (at === 0 ? ', in use' : '')),
      ...refusals.map((line) => `(${line})`),
    ];
    return { name, status: 'ok', found: lines.join('\n'), fix: null };
  }
  const { code, refusals, mend } = outcome.failure;
  if (code === 'M3L_LIBTORCH_NOT_FOUND') {
    return { name, status: 'fail', found: refusals.join('\n'), fix: mend };
  }
  const lines = [...found.map(told), ...searched.map((line) => `(${line})`)];
  const status = found.length > 0 || builtMinors().length === 0 ? 'warn' : 'fail';
  const fix = status === 'fail' ? libtorchMend(searched) : null;
  return { name, status, found: lines.join('\n'), fix };
}

/** In a process of its own: of a crash the last step that was told is left. */
function loadInChild(): Outcome {
  const program = fileURLToPath(new URL('./load-probe.js', import.meta.url));
  const { status, signal, stdout, stderr, error } = spawnSync(process.execPath, [program], {
    encoding: 'utf8',
    timeout: LOADING_SECONDS * 1000,
  });
  const lines = (stdout ?? '').split('\n').filter((line) => line !== '');
  const last = lines.at(-1) ?? '{}';
  if (status === 0 && !last.startsWith('{"doing"')) return JSON.parse(last) as Outcome;
  const { doing = 'starting' } = JSON.parse(last) as { doing?: string };
  const end = signal ?? error?.message ?? `exit code ${status}`;
  const message = `${doing} ended the process with ${end}`;
  const refusals = stderr
    .split('\n')
    .filter((line) => line.trim() !== '')
    .slice(-3);
  return { failure: { code: null, message, refusals, mend: null } };
}

function native(outcome: Outcome): Check {
  const name = 'addon';
  const minors = builtMinors().join(', ') || 'none';
  if ('loaded' in outcome) {
    const { version, milliseconds, sum } = outcome.loaded;
    const ok = sum === 6;
    const found = ok
      ? `loads with libtorch ${version} in ${milliseconds} ms and computes (built for ${minors})`
      : `computes wrongly: 1+1+1+1+1+1 = ${sum}`;
    return { name, status: ok ? 'ok' : 'fail', found, fix: ok ? null : addonMend([]) };
  }
  const { code, message, refusals, mend } = outcome.failure;
  // The libtorchs stand in the line before.
  const lines = code === 'M3L_LIBTORCH_NOT_FOUND' ? [] : refusals;
  const found = [code === null ? message : `${code}: ${message}`, ...lines].join('\n');
  return { name, status: 'fail', found, fix: mend ?? addonMend(refusals) };
}

function gpu(outcome: Outcome): Check {
  const name = 'GPU';
  if ('loaded' in outcome && outcome.loaded.cuda) {
    return { name, status: 'ok', found: 'cuda:0', fix: null };
  }
  const present = gpuVisible();
  return {
    name,
    status: present ? 'warn' : 'ok',
    found: present ? 'an NVIDIA GPU that this libtorch does not use' : 'none, the CPU is used',
    fix: present ? 'run `npx m3l libtorch install --variant cu130`' : null,
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
  const folder = cacheFolder();
  const forbidden = readingForbidden(folder);
  if (forbidden !== null) return { name: 'disk', status: 'warn', found: forbidden, fix: null };
  const free = freeBytes(folder);
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
