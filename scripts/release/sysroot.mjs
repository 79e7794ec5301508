// Fetches the C library that the packages are built against, Debian 11's, into the cache and prints
// its folder: `npm run build:addon -- --sysroot "$(node scripts/release/sysroot.mjs)" LIBTORCH …`.
// What is built then opens on every Linux since 2020. Needs dpkg-deb; no root user.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { home } from '../libtorch.mjs';

const ARCHIVE = 'http://deb.debian.org/debian/pool/main';
/** Pinned: they hold the headers, the libraries to link against, and the kernel's headers. */
const PACKAGES = {
  'g/glibc/libc6_2.31-13+deb11u11_amd64.deb':
    '05f7264da867b37f4c5ce49266b558ea1e81e05a9464f623152fca70f3550282',
  'g/glibc/libc6-dev_2.31-13+deb11u11_amd64.deb':
    'e7f7b45d9c5cfcf37609f0b6efd3c645272c812144703af89dfd32218fcb0fd3',
  'l/linux/linux-libc-dev_5.10.223-1_amd64.deb':
    'e3be603bd12377bb90fcfb0f2048ca3a81c886e49d6f09945b82159d1c54f7b2',
};
const folder = join(home(), 'sysroot', 'debian-11-x64');

/** @param {string} path @param {string} sha256 @param {string} into */
async function unpack(path, sha256, into) {
  const response = await fetch(`${ARCHIVE}/${path}`);
  if (!response.ok) throw new Error(`${ARCHIVE}/${path}: ${response.status}`);
  const bytes = Buffer.from(await response.arrayBuffer());
  const found = createHash('sha256').update(bytes).digest('hex');
  if (found !== sha256) throw new Error(`${path} has sha256 ${found}, expected ${sha256}`);
  const file = join(into, 'package.deb');
  writeFileSync(file, bytes);
  const { status, error } = spawnSync('dpkg-deb', ['-x', file, into], { stdio: 'inherit' });
  if (status !== 0) throw new Error(`dpkg-deb: ${error?.message ?? `ended with ${status}`}`);
  rmSync(file);
}

/** An absolute link would lead out of the root, into this system. @param {string} root */
function makeLinksRelative(root) {
  for (const entry of readdirSync(root, { withFileTypes: true, recursive: true })) {
    if (!entry.isSymbolicLink()) continue;
    const link = join(entry.parentPath ?? entry.path, entry.name);
    const target = readlinkSync(link);
    if (!target.startsWith('/')) continue;
    rmSync(link);
    symlinkSync(relative(dirname(link), join(root, target)), link);
  }
}

if (!existsSync(folder)) {
  const temporary = `${folder}-${process.pid}`;
  mkdirSync(temporary, { recursive: true });
  try {
    for (const [path, sha256] of Object.entries(PACKAGES)) await unpack(path, sha256, temporary);
    makeLinksRelative(temporary);
    renameSync(temporary, folder);
  } catch (error) {
    console.error(`sysroot: ${error instanceof Error ? error.message : error}`);
    process.exit(1);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}
console.log(folder);
