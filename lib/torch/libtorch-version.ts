import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isFile } from './stat.js';

/** What a libtorch folder says of its version, or null. */
export function versionOf(folder: string): string | null {
  for (const file of ['version.py', 'build-version']) {
    const path = join(folder, file);
    if (!isFile(path)) continue;
    const version = versionIn(file, readFileSync(path, 'utf8'));
    if (version !== null) return version;
  }
  return null;
}

/** The version that a `version.py` or a libtorch's `build-version` says, or null. */
export function versionIn(file: string, text: string): string | null {
  const found = file.endsWith('.py')
    ? /__version__\s*=\s*['"]([^'"]+)['"]/.exec(text)?.[1]
    : text.trim();
  return found !== undefined && /^\d+\.\d+\.\d+[\w.+-]*$/.test(found) ? found : null;
}
