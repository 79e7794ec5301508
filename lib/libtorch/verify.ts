import { existsSync, readdirSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { machineOf } from '../torch/elf.js';
import { versionOf } from '../torch/libtorch-version.js';
import { isFile } from '../torch/stat.js';
import { type Elf, machineName, readElf } from './elf.js';
import { LibtorchInstallError } from './errors.js';

/** A libtorch folder that was looked through. */
export interface Verified {
  /** As `torch.__version__`. */
  version: string;
  cuda: boolean;
}

const REQUIRED = ['libtorch.so', 'libtorch_cpu.so', 'libc10.so'];

/** Operators that m3l calls are of this one or older. */
const OLDEST = { major: 2, minor: 11 };

/** Of the driver, which is the machine's own. */
const OF_THE_DRIVER = /^(libcuda|libnvidia-ml)\.so/;

/**
 * Checks that a folder (it has `lib/`) is a libtorch that this machine can open: the files are there,
 * whole, and of this architecture, the version is one that m3l knows. Opens none of them.
 *
 * @throws LibtorchInstallError M3L_LIBTORCH_CONTENT, M3L_LIBTORCH_ARCHITECTURE, M3L_LIBTORCH_VERSION
 */
export function verifyLibtorch(
  folder: string,
  { headers = false, arch = process.arch as string } = {},
): Verified {
  const lib = join(folder, 'lib');
  for (const name of REQUIRED) {
    if (!isFile(join(lib, name))) throw content(folder, `lib/${name} is not there`);
  }
  const names = readdirSync(lib).filter((name) => /\.so(\.|$)/.test(name));
  const wanted = machineOf(arch);
  for (const name of names) {
    const elf = readElf(join(lib, name));
    if (typeof elf === 'string') throw content(folder, `lib/${name} is damaged: ${elf}`);
    if (elf.machine !== wanted) {
      throw new LibtorchInstallError(
        'M3L_LIBTORCH_ARCHITECTURE',
        `${folder} is for another processor: lib/${name} is for ${machineName(elf.machine)}, this Node.js for ${wanted === null ? arch : machineName(wanted)}. Take the wheel whose name ends in ${arch === 'arm64' ? 'aarch64' : 'x86_64'}.whl.`,
      );
    }
  }
  if (headers && !isFile(join(folder, 'include/torch/headeronly/version.h'))) {
    throw content(
      folder,
      'include/torch/headeronly/version.h is not there, and headers are wanted',
    );
  }
  const version = versionOf(folder);
  if (version === null)
    throw content(folder, 'neither version.py nor build-version says a version');
  requireNewEnough(folder, version);
  return { version, cuda: names.includes('libtorch_cuda.so') };
}

/** @throws LibtorchInstallError M3L_LIBTORCH_VERSION */
export function requireNewEnough(place: string, version: string): void {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major > OLDEST.major || (major === OLDEST.major && minor >= OLDEST.minor)) return;
  throw new LibtorchInstallError(
    'M3L_LIBTORCH_VERSION',
    `${place} is libtorch ${version}, and ${OLDEST.major}.${OLDEST.minor} or newer is needed. Take the pinned one: m3l libtorch install`,
  );
}

/**
 * The libraries that those of a libtorch folder need, directly or not, and that lie neither where they
 * look for them nor in the system's folders. The GPU's driver is not counted.
 */
export function missingLibraries(folder: string, system = systemFolders()): string[] {
  const lib = join(folder, 'lib');
  const found = new Set<string>();
  const missing = new Set<string>();
  const visit = (path: string, inherited: readonly string[]) => {
    const elf = readElf(path);
    if (typeof elf === 'string') return;
    const origin = dirname(realpathSync(path));
    const searched = [...searchedBy(elf, origin), ...inherited];
    for (const name of elf.needed) {
      if (found.has(name) || OF_THE_DRIVER.test(name)) continue;
      const near = searched.find((place) => existsSync(join(place, name)));
      if (near !== undefined) {
        found.add(name);
        missing.delete(name);
        visit(join(near, name), searched);
      } else if (!system.some((place) => existsSync(join(place, name)))) {
        missing.add(name);
      }
    }
  };
  for (const name of readdirSync(lib)) {
    if (/\.so(\.|$)/.test(name)) visit(join(lib, name), []);
  }
  return [...missing].sort();
}

function searchedBy(elf: Elf, origin: string): string[] {
  return elf.searched.map((path) => path.replace(/\$(ORIGIN|\{ORIGIN\})/g, origin));
}

/** Where the dynamic linker looks last, on the distributions there are. */
function systemFolders(): string[] {
  const triple = process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu';
  const named = (process.env.LD_LIBRARY_PATH ?? '').split(':').filter((path) => path !== '');
  const usual = ['lib', 'lib64'].flatMap((name) => [
    `/${name}`,
    `/usr/${name}`,
    `/usr/local/${name}`,
  ]);
  return [...named, ...usual, `/lib/${triple}`, `/usr/lib/${triple}`];
}

function content(folder: string, why: string): LibtorchInstallError {
  return new LibtorchInstallError(
    'M3L_LIBTORCH_CONTENT',
    `${folder} is no whole libtorch: ${why}. Name another with --from, or fetch the pinned one: m3l libtorch install --force`,
  );
}
