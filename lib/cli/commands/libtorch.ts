import { type Command, Option } from 'commander';
import { lackOfBuild, refuseLack } from '../../libtorch/builds.js';
import * as cache from '../../libtorch/cache.js';
import { freeBytes } from '../../libtorch/disk.js';
import { interrupted, LibtorchInstallError, size } from '../../libtorch/errors.js';
import { type Installed, installLibtorch } from '../../libtorch/install.js';
import { withLock } from '../../libtorch/lock.js';
import { VARIANTS, type Variant } from '../../libtorch/pins.js';
import { LibtorchNotFoundError } from '../../torch/errors.js';
import { cacheFolder, findLibtorch, type Libtorch } from '../../torch/libtorch.js';
import { versionOf } from '../../torch/libtorch-version.js';
import { oneOf, unknownWord } from '../arguments.js';
import { byteProgress } from '../byte-progress.js';
import { examples } from '../command-line.js';
import { listenForInterruption } from '../interruption.js';
import { printJson, printNote, printResult } from '../output.js';
import { formatTable } from '../table.js';

/** What was fetched is kept, which the error says. */
const STOPPING = { note: null, reason: interrupted };

export function addLibtorch(program: Command): void {
  const libtorch = program
    .command('libtorch')
    .description('fetch libtorch into the cache, choose one, or say where it is');
  addInstall(libtorch);
  addList(libtorch);
  addUse(libtorch);
  addRemove(libtorch);
  addPath(libtorch);
}

function addInstall(libtorch: Command): void {
  libtorch
    .command('install')
    .description('install the pinned libtorch, or the one that --from names, into the cache')
    .addOption(
      new Option(
        '--variant <variant>',
        'cpu (default) or cu130, with NVIDIA’s libraries',
      ).argParser(oneOf(VARIANTS)),
    )
    .option('--from <source>', 'a wheel or zip, a folder (libtorch, or wheels) or an address')
    .option('--force', 'install again even if it is there', false)
    .option('--with-headers', 'keep what a compiler needs too', false)
    .option('--json', 'print the result as JSON', false)
    .addHelpText(
      'after',
      examples(
        'm3l libtorch install',
        'm3l libtorch install --variant cu130',
        'm3l libtorch install --from torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl',
        'm3l libtorch install --from https://example.org/libtorch.zip#sha256=…',
      ),
    )
    .action(async (options: InstallFlags) => {
      const { variant, from, force, withHeaders, json } = options;
      const progress = byteProgress();
      const interruption = listenForInterruption(STOPPING);
      try {
        const { signal } = interruption;
        const keep = withHeaders ? 'headers' : 'runtime';
        const settings = { variant, from, force, keep, signal, lack: lackOfBuild } as const;
        const installed = await installLibtorch({ ...settings, reporter: progress });
        progress.end();
        tell(installed);
        if (json) printJson(installed);
        else printResult(installed.folder);
      } finally {
        progress.end();
        interruption.stop();
      }
    });
}

interface InstallFlags {
  variant?: Variant;
  from?: string;
  force: boolean;
  withHeaders: boolean;
  json: boolean;
}

/** Whether it was there, and whether it is what m3l will use. */
function tell({ wasThere, name, folder, version }: Installed): void {
  if (wasThere) printNote(`${name} is installed already; --force installs it again.`);
  const lack = lackOfBuild(version);
  if (lack !== null) {
    printNote(`It is not used: ${lack}.`);
    return;
  }
  const used = findLibtorch([]);
  if (used !== null && used.folder !== folder) {
    printNote(`In use is ${used.folder} (${used.source}). Choose with: m3l libtorch use ${name}`);
  }
}

function addList(libtorch: Command): void {
  libtorch
    .command('list')
    .description('list the libtorchs in the cache, their sizes, and which is in use')
    .option('--json', 'print the result as JSON', false)
    .action(({ json }: { json: boolean }) => {
      const home = cacheFolder();
      const used = findLibtorch([]);
      const chosen = cache.chosenName(home);
      const installed = cache
        .installedLibtorchs(home)
        .map((one) => ({ ...one, lack: lackOfBuild(one.version) }));
      const unfinished = cache.leftovers(home);
      if (json) {
        printJson({ cache: home, installed, inUse: used, chosen, unfinished });
        return;
      }
      if (installed.length > 0) printResult(tableOf(installed, used));
      else printResult(`No libtorch is in ${home}. Install one with: m3l libtorch install`);
      for (const { name, damage, lack } of installed) {
        if (damage !== null)
          printResult(`${name} is not whole: ${damage}. Install it with --force.`);
        else if (lack !== null) printResult(`${name} is not used: ${lack}.`);
      }
      printResult(whyInUse(used, home));
      if (unfinished.bytes > 0) {
        const { bytes, folder } = unfinished;
        printResult(
          `Unfinished installs hold ${size(bytes)} in ${folder}: the same install goes on from there, and m3l libtorch remove incomplete frees it.`,
        );
      }
      printResult(`${size(freeBytes(home))} free in ${home}.`);
    });
}

/** A libtorch in the cache, and why m3l passes it over where no build fits it. */
type Listed = cache.InstalledLibtorch & { lack: string | null };

function tableOf(installed: Listed[], used: Libtorch | null): string {
  return formatTable(
    ['name', 'version', 'size', 'headers', 'in use'],
    installed.map((one) => [
      one.name,
      one.version ?? '?',
      size(one.bytes),
      one.headers ? 'yes' : 'no',
      stateOf(one, used),
    ]),
  );
}

function stateOf({ folder, damage, lack }: Listed, used: Libtorch | null): string {
  if (damage !== null) return 'damaged';
  if (lack !== null) return 'no build';
  return used?.folder === folder ? 'yes' : '';
}

/** The libtorch that is used, and whose choice it is. */
function whyInUse(used: Libtorch | null, home: string): string {
  if (used === null) return 'None is in use: m3l doctor says why.';
  const { folder, source } = used;
  const chosen = cache.chosenName(home);
  const name = cache.installedNames(home).find((one) => folder === cache.folderOf(home, one));
  if (name === undefined) return `In use: ${folder} (from ${source}).`;
  if (name === chosen) return `In use: ${folder} (chosen by m3l libtorch use).`;
  const passed = chosen === null ? '' : `; ${chosen}, chosen by m3l libtorch use, is not usable`;
  return `In use: ${folder} (chosen by m3l${passed}).`;
}

function addUse(libtorch: Command): void {
  libtorch
    .command('use')
    .description('use one of the cache’s libtorchs, or let m3l choose again (auto)')
    .argument('<name>', 'as m3l libtorch list shows it, or auto')
    .option('--json', 'print the result as JSON', false)
    .action((name: string, { json }: { json: boolean }) => {
      const home = cacheFolder();
      if (name !== 'auto') {
        requireName(home, name, ['auto']);
        const version = versionOf(cache.folderOf(home, name));
        refuseLack(name, version, lackOfBuild(version));
      }
      cache.useLibtorch(home, name);
      const used = findLibtorch([]);
      if (process.env.LIBTORCH) printNote('LIBTORCH is set, and comes before this choice.');
      if (json) printJson({ chosen: name === 'auto' ? null : name, inUse: used });
      else printResult(whyInUse(used, home));
    });
}

function addRemove(libtorch: Command): void {
  libtorch
    .command('remove')
    .description('remove a libtorch from the cache, or what unfinished installs hold (incomplete)')
    .argument('<name>', 'as m3l libtorch list shows it, or incomplete')
    .option('--json', 'print the result as JSON', false)
    .action(async (name: string, { json }: { json: boolean }) => {
      const home = cacheFolder();
      if (name !== 'incomplete') requireName(home, name, ['incomplete']);
      const before = freeable(home, name);
      const interruption = listenForInterruption(STOPPING);
      try {
        await withLock(home, async () => remove(home, name), {
          signal: interruption.signal,
          waiting: () => printNote(`another m3l is installing into ${home}: waiting for it`),
        });
      } finally {
        interruption.stop();
      }
      if (json) printJson({ removed: name, bytes: before });
      else printResult(`Removed ${name}, ${size(before)}.`);
    });
}

function freeable(home: string, name: string): number {
  if (name === 'incomplete') return cache.leftovers(home).bytes;
  return cache.installedLibtorchs(home).find((one) => one.name === name)?.bytes ?? 0;
}

function remove(home: string, name: string): void {
  if (name === 'incomplete') {
    cache.removeLeftovers(home);
    return;
  }
  const { wasChosen } = cache.removeLibtorch(home, name);
  if (wasChosen) printNote('It was the one in use by choice; m3l chooses again.');
}

/** @throws LibtorchInstallError M3L_LIBTORCH_NAME with what may have been meant */
function requireName(home: string, name: string, words: readonly string[]): void {
  const known = [...cache.installedNames(home), ...words];
  if (known.includes(name)) return;
  throw new LibtorchInstallError(
    'M3L_LIBTORCH_NAME',
    `'${name}' is no libtorch in ${home}. ${unknownWord(name, known)}\nSee: m3l libtorch list, m3l libtorch install`,
  );
}

function addPath(libtorch: Command): void {
  libtorch
    .command('path')
    .description('print the folder of the libtorch that is used')
    .option('--json', 'print the result as JSON', false)
    .action(({ json }: { json: boolean }) => {
      const tried: string[] = [];
      const found = findLibtorch(tried);
      if (found === null) throw new LibtorchNotFoundError(tried);
      if (json) printJson(found);
      else printResult(found.folder);
    });
}
