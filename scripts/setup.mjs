// Makes a fresh clone ready: node_modules, libtorch, the addon, the compiled library. Each step does
// nothing where its inputs have not changed. Plain JavaScript without dependencies.
//
//     npm run setup [-- --from FILE|FOLDER|URL]     where libtorch comes from, once: docs/libtorch.md
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, lstatSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { buildAddon } from './build-addon.mjs';
import { buildLibrary } from './build-lib.mjs';
import { install, namedLibtorch } from './libtorch.mjs';
import { buildTools, nodeFault } from './tools.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));

/** A failure whose message is all the user needs. */
export class SetupError extends Error {}

/** @param {string} line */
export const say = (line) => console.error(`setup: ${line}`);

/** node_modules follows package-lock.json, told by a stamp of its hash. True where it did not yet. */
function installModules() {
  const lock = readFileSync(join(root, 'package-lock.json'));
  const wanted = createHash('sha256').update(lock).digest('hex');
  const modules = join(root, 'node_modules');
  const stamp = join(modules, '.m3l-lock');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return false;
  if (lstatSync(modules, { throwIfNoEntry: false })?.isSymbolicLink()) {
    throw new SetupError(
      `${modules} leads to ${readlinkSync(modules)}, which is of another package-lock.json and which npm ci would empty: remove the link, or run npm run setup there`,
    );
  }
  say('npm ci (node_modules)');
  const { status } = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 2, 2],
  });
  if (status !== 0) {
    throw new SetupError('npm ci failed: see its message above, mend it and run this again');
  }
  writeFileSync(stamp, wanted);
  return true;
}

/**
 * The libtorch to build against: what `from` names, LIBTORCH where set, else the pinned wheel in the
 * user's cache.
 * @param {string | undefined} from
 */
async function findLibtorch(from) {
  const given = process.env.LIBTORCH;
  if (given && from === undefined) {
    const folder = namedLibtorch();
    if (folder === undefined) {
      throw new SetupError(
        `LIBTORCH=${given} has no lib/libtorch_cpu.so: name a libtorch folder or a wheel's torch folder, or unset it`,
      );
    }
    return folder;
  }
  try {
    return await install({ variant: 'cpu', from, log: say });
  } catch (error) {
    if (error?.code !== 'M3L_LIBTORCH_NETWORK') throw error;
    throw new SetupError(
      `${error.message}\nHere that is: npm run setup -- --from FILE, or LIBTORCH=FOLDER npm run setup with a libtorch that is unpacked.`,
    );
  }
}

/** @param {{ from?: string }} [options] */
export async function setup({ from } = {}) {
  const fault = nodeFault();
  if (fault !== null) throw new SetupError(fault);
  const missing = buildTools().filter((tool) => !tool.ok);
  const required = missing.filter((tool) => !tool.optional);
  if (required.length > 0) {
    throw new SetupError(
      required.map((tool) => `${tool.name}: ${tool.found}. Run: ${tool.fix}`).join('\n'),
    );
  }
  const isFirst = installModules();
  if (isFirst) for (const { found, fix } of missing) say(`${found}. To have it: ${fix}`);
  await buildAddon({ libtorchs: [await findLibtorch(from)], log: say });
  buildLibrary({ log: say });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  try {
    const { values } = parseArgs({ options: { from: { type: 'string' } } });
    await setup(values);
  } catch (error) {
    const expected = error instanceof Error && (error instanceof SetupError || 'code' in error);
    console.error(expected ? error.message : error);
    process.exit(1);
  }
}
