/** Debian 12 with Node, as the image node:24-bookworm-slim has them, kept in the user's cache. */
import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { cacheFolder } from '../../dist/torch/libtorch.js';
import { npm } from '../release/packed.js';

const ARCHIVE = 'http://deb.debian.org/debian';
const folder = join(cacheFolder(), 'debian-root', 'bookworm-node');

/** Why there is no such root and none can be made here, else null. */
export function whyNoDebianRoot(): string | null {
  if (process.getuid?.() !== 0) return 'chroot needs the root user';
  for (const program of ['unshare', 'chroot', ...(existsSync(folder) ? [] : ['debootstrap'])]) {
    if (spawnSync(program, ['--version']).error) return `${program} is not installed`;
  }
  return null;
}

/**
 * The root's folder. What copies it may change its copy.
 * @param node the program
 */
export function debianRoot(node: string): string {
  if (existsSync(folder)) return folder;
  const root = `${folder}-${process.pid}`;
  mkdirSync(dirname(root), { recursive: true });
  try {
    // What it mounts into the root is gone with it, whatever happens.
    const strap = ['--mount', 'debootstrap', '--variant=minbase', 'bookworm', root, ARCHIVE];
    const { status, stdout, stderr } = spawnSync('unshare', strap, { encoding: 'utf8' });
    if (status !== 0) throw new Error(`debootstrap: ${stdout}${stderr}`);
    const local = join(root, 'usr/local');
    copyFileSync(node, join(local, 'bin/node'));
    const modules = join(local, 'lib/node_modules');
    cpSync(dirname(dirname(npm())), join(modules, 'npm'), { recursive: true, dereference: true });
    for (const name of ['npm', 'npx']) {
      symlinkSync(`../lib/node_modules/npm/bin/${name}-cli.js`, join(local, 'bin', name));
    }
    appendFileSync(join(root, 'etc/passwd'), 'node:x:1000:1000::/home/node:/bin/bash\n');
    appendFileSync(join(root, 'etc/group'), 'node:x:1000:\n');
    mkdirSync(join(root, 'home/node'));
    const { NODE_EXTRA_CA_CERTS } = process.env;
    for (const file of ['/etc/resolv.conf', '/etc/hosts', NODE_EXTRA_CA_CERTS]) {
      if (!file || !existsSync(file)) continue;
      mkdirSync(join(root, dirname(file)), { recursive: true });
      copyFileSync(file, join(root, file));
    }
    renameSync(root, folder);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
  return folder;
}
