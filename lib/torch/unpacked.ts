/** Native files in an Electron app's archive: Node finds them there, the system's loader does not. */
import { existsSync } from 'node:fs';
import { M3lError } from './errors.js';

/**
 * The path that the system's loader takes: of a file in an Electron archive (`app.asar`) the one that
 * packaging laid beside it (`app.asar.unpacked`), else `path` itself.
 * @throws M3lError M3L_ASAR_PACKED where packaging left it inside
 */
export function unpacked(path: string): string {
  const outside = path.replace(/\.asar(?=[\\/])/, '.asar.unpacked');
  if (outside === path || isOnDisk(path)) return path;
  if (existsSync(outside)) return outside;
  if (!existsSync(path)) return path;
  throw new M3lError(
    'M3L_ASAR_PACKED',
    `found it inside the archive, expected it at ${outside}, where the system can open it. ` +
      'Have native files unpacked: asarUnpack: ["**/*.node", "**/*.so*"] for electron-builder, ' +
      'packagerConfig.asar.unpack: "**/{*.node,*.so*}" for Electron Forge.',
  );
}

/** Not by way of an archive. That this is Electron cannot be asked: its worker threads do not know. */
function isOnDisk(path: string): boolean {
  const electron = process as NodeJS.Process & { noAsar?: boolean | undefined };
  const { noAsar } = electron;
  electron.noAsar = true;
  try {
    return existsSync(path);
  } finally {
    electron.noAsar = noAsar;
  }
}
