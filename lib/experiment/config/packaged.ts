import { readdirSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isFile } from '../../torch/stat.js';

const FOLDER = fileURLToPath(new URL('../../../configs/', import.meta.url));

/** The configurations that come with the package, by name: `rooms-demo`, `data/rooms`. */
export function packagedConfigs(): string[] {
  return (
    readdirSync(FOLDER, { recursive: true, encoding: 'utf8' })
      // Weights have with them what they were trained by: a record, not a configuration to name.
      .filter((file) => file.endsWith('.yaml') && !file.startsWith('weights'))
      .map((file) => file.replace(/\.yaml$/, ''))
      .sort()
  );
}

/** The file that a name means: itself, relative to `folder`, or else the package's of that name. */
export function configFile(name: string, folder = ''): string {
  const file = isAbsolute(name) ? name : join(folder, name);
  return !isFile(file) && packagedConfigs().includes(name) ? join(FOLDER, `${name}.yaml`) : file;
}
