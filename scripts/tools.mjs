// Which Node m3l needs, and which tools a build needs, where they are, and the one line that installs a missing one.
// Plain JavaScript without dependencies: it runs before node_modules exists.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Package names by package manager, in the order the managers are looked for. */
const MANAGERS = [
  {
    command: 'apt-get',
    install: 'sudo apt-get install -y',
    packages: {
      python: 'python3 python3-pip',
      pip: 'python3-pip',
      cmake: 'cmake',
      compiler: 'g++',
    },
  },
  {
    command: 'dnf',
    install: 'sudo dnf install -y',
    packages: {
      python: 'python3 python3-pip',
      pip: 'python3-pip',
      cmake: 'cmake',
      compiler: 'gcc-c++',
    },
  },
  {
    command: 'pacman',
    install: 'sudo pacman -S --needed',
    packages: { python: 'python python-pip', pip: 'python-pip', cmake: 'cmake', compiler: 'gcc' },
  },
  {
    command: 'zypper',
    install: 'sudo zypper install -y',
    packages: {
      python: 'python3 python3-pip',
      pip: 'python3-pip',
      cmake: 'cmake',
      compiler: 'gcc-c++',
    },
  },
];

/** What is done without. */
const WITHOUT_PIP =
  'libtorch is fetched without pip, and what compares with PyTorch in Python is left out';

/**
 * Why m3l does not support this Node, by `engines` of package.json (`^20.19.0 || >=22.12.0`), or null.
 * @param {string} [version]
 * @returns {string | null}
 */
export function nodeFault(version = process.versions.node) {
  const manifest = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  const { node } = JSON.parse(manifest).engines;
  const [major, minor] = version.split('.').map(Number);
  const supported = [...node.matchAll(/(\^|>=)(\d+)\.(\d+)/g)].some(
    ([, range, least, leastMinor]) =>
      major === Number(least)
        ? minor >= Number(leastMinor)
        : range === '>=' && major > Number(least),
  );
  if (supported) return null;
  return `this is Node ${version}, and m3l needs Node ${node}: https://nodejs.org/en/download`;
}

/**
 * Absolute path of a program on the PATH, or null.
 * @param {string} name
 * @returns {string | null}
 */
export function which(name) {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    if (folder === '') continue;
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not in this folder.
    }
  }
  return null;
}

/** The first of these programs that is on the PATH. @param {...string} names */
export function firstInstalled(...names) {
  return names.find((name) => which(name) !== null);
}

/**
 * The line a user types to install a missing tool on this machine.
 * @param {'python' | 'pip' | 'cmake' | 'compiler'} tool
 * @returns {string}
 */
export function fixFor(tool) {
  const manager = MANAGERS.find(({ command }) => which(command) !== null) ?? MANAGERS[0];
  return `${manager.install} ${manager.packages[tool]}`;
}

/**
 * First line that `program ...args` prints, or null if it cannot be run.
 * @param {string} program
 * @param {string[]} [args]
 * @returns {string | null}
 */
export function firstLine(program, args = ['--version']) {
  const { status, stdout } = spawnSync(program, args, { encoding: 'utf8', timeout: 20_000 });
  return status === 0 ? stdout.split('\n', 1)[0].trim() : null;
}

/**
 * A Python that has pip: its command, or the reason there is none and the mend.
 * @returns {{ python: string, pip: string } | { python: null, reason: string, fix: string }}
 */
export function findPip() {
  const pythons = ['python3', 'python'].filter((name) => which(name) !== null);
  for (const python of pythons) {
    const pip = firstLine(python, ['-m', 'pip', '--version']);
    if (pip !== null) return { python, pip };
  }
  return pythons.length === 0
    ? { python: null, reason: 'Python 3 is not installed', fix: fixFor('python') }
    : { python: null, reason: `${pythons[0]} has no pip`, fix: fixFor('pip') };
}

/**
 * The tools of a build from source, each with what was found and how to mend it. Without the optional
 * ones a clone builds and passes its tests.
 * @returns {{ name: string, optional: boolean, ok: boolean, found: string, fix: string | null }[]}
 */
export function buildTools() {
  const python = findPip();
  const cmake = which('cmake') ? firstLine('cmake') : null;
  const [major = 0, minor = 0] = (cmake?.match(/(\d+)\.(\d+)/)?.slice(1) ?? []).map(Number);
  const newEnough = major > 3 || (major === 3 && minor >= 22);
  const newer =
    python.python === null
      ? 'https://cmake.org/download'
      : `${python.python} -m pip install --user cmake`;
  const compiler = firstInstalled('c++', 'g++', 'clang++');
  return [
    {
      name: 'python + pip',
      optional: true,
      ...(python.python === null
        ? { ok: false, found: `${python.reason}: ${WITHOUT_PIP}`, fix: python.fix }
        : { ok: true, found: `${python.python}, ${python.pip}`, fix: null }),
    },
    {
      name: 'cmake',
      optional: false,
      ok: newEnough,
      found: cmake === null ? 'not found' : newEnough ? cmake : `${cmake}, 3.22 or newer is needed`,
      fix: newEnough ? null : cmake === null ? fixFor('cmake') : newer,
    },
    {
      name: 'C++ compiler',
      optional: false,
      ok: compiler !== undefined,
      found: compiler === undefined ? 'not found' : `${firstLine(compiler) ?? compiler}`,
      fix: compiler === undefined ? fixFor('compiler') : null,
    },
  ];
}
