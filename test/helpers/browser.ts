import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

const PROGRAMS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

/** A browser without a window; null, saying why, where there is none and none can be had. */
export async function openBrowser(): Promise<Browser | null> {
  const program = installed() ?? install();
  if (program === null) return null;
  // Root may not start Chromium's sandbox; a container's /dev/shm is small.
  const args = ['--no-sandbox', '--disable-dev-shm-usage'];
  return chromium.launch({ executablePath: program, args });
}

function installed(): string | null {
  return PROGRAMS.find((path) => existsSync(path)) ?? null;
}

/** By apt, where this is root on a Debian. */
function install(): string | null {
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) {
    console.warn(
      'skipped: there is no Chromium (apt-get install chromium), and only root could install it',
    );
    return null;
  }
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const apt = (...args: string[]) =>
    spawnSync('apt-get', ['-o', 'DPkg::Lock::Timeout=300', ...args], { env, encoding: 'utf8' });
  apt('update');
  const { status, stderr } = apt('install', '-y', '--no-install-recommends', 'chromium');
  const found = installed();
  if (status !== 0 || found === null)
    console.warn(`skipped: apt-get installs no chromium: ${stderr}`);
  return found;
}
