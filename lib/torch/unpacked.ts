/** Native files in an Electron app's archive: Node finds them there, the system's loader does not. */
import { existsSync } from 'node:fs';
import { M3lError } from './errors.js';

/**
 * The path that the system's loader takes: of a file in an Electron archive (`app.asar`) the one that
 * packaging laid beside it (`app.asar.unpacked`), else `path` itself.
 * @throws M3lError M3L_ASAR_PACKED where packaging left it inside
 */
export function unpacked(path: string): string {
  if (process.versions.electron === undefined) return path;
  const outside = path.replace(/\.asar(?=[\\/])/, '.asar.unpacked');
  if (outside === path || existsSync(outside)) return outside;
  throw new M3lError(
    'M3L_ASAR_PACKED',
    `found it inside the archive, expected it at ${outside}, where the system can open it. ` +
      'Have native files unpacked: asarUnpack: ["**/*.node", "**/*.so*"] for electron-builder, ' +
      'packagerConfig.asar.unpack: "**/{*.node,*.so*}" for Electron Forge.',
  );
}
