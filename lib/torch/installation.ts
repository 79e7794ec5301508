/** Where this package lies and how it came there: a mend must work where its reader stands. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of package.json. */
export const packageFolder = fileURLToPath(new URL('../../', import.meta.url));

/** The packages that hold what is compiled, and a libtorch; they exist for `supportedPlatform`. */
export const nativePackage = '@m3l/linux-x64';
export const libtorchPackage = '@m3l/libtorch-linux-x64';
const supportedPlatform = 'linux-x64';

/** True in a clone of the repository, which holds the C++ sources; a published package does not. */
export function isClone(): boolean {
  return existsSync(join(packageFolder, 'CMakeLists.txt'));
}

/** The version in package.json; null where a bundler took this module away from it. */
export function packageVersion(): string | null {
  try {
    const manifest = JSON.parse(readFileSync(join(packageFolder, 'package.json'), 'utf8'));
    return manifest.name === 'm3l' ? manifest.version : null;
  } catch {
    return null;
  }
}

/** How to get native files where none does, for the reasons in `refusals`. */
export function addonMend(refusals: readonly string[]): string {
  const flags = flagsOf(refusals);
  if (flags !== null) return flags;
  if (isClone()) return `run \`npm run setup\` in ${packageFolder}`;
  const platform = `${process.platform}-${process.arch}`;
  if (platform !== supportedPlatform) {
    return `there are prebuilt files for ${supportedPlatform} alone, this is ${platform}: build m3l in a clone of its repository, and name the folder with M3L_ADDON_DIR`;
  }
  if (!hasGlibc()) {
    return 'the prebuilt files need glibc, which this Linux does not have (musl?): use a Debian, Ubuntu or Fedora image';
  }
  const version = packageVersion();
  if (version === null) {
    return "leave m3l out of the bundle: esbuild's --external:m3l, Vite's ssr.external, Next.js's serverExternalPackages";
  }
  const name = `${nativePackage}@${version}`;
  if (refusals.some((line) => line.includes(join('node_modules', nativePackage)))) {
    return `remove node_modules/${nativePackage} and run \`npm install ${name}\``;
  }
  return `run \`npm install ${name}\` (an optional dependency: --omit=optional leaves it out)`;
}

/** How to get a libtorch where none does, for the reasons in `refusals`. */
export function libtorchMend(refusals: readonly string[]): string {
  const flags = flagsOf(refusals.filter((line) => !line.startsWith('python: ')));
  if (flags !== null) return flags;
  const install = 'run `npx m3l libtorch install`, or set LIBTORCH to a libtorch folder';
  return isClone() ? install : `run \`npm install ${libtorchPackage}\`; or ${install}`;
}

/** Where Node's permission model is in the way, only its flags help. */
function flagsOf(refusals: readonly string[]): string | null {
  const flags = refusals.flatMap((line) => /\((--allow-[^)]+)\)/.exec(line)?.[1] ?? []);
  return flags.length === 0 ? null : `start Node with ${[...new Set(flags)].join(' ')}`;
}

/** The glibc that runs, for example '2.36'; null on musl and where there is none. */
export function glibcVersion(): string | null {
  const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } };
  return header.glibcVersionRuntime ?? null;
}

function hasGlibc(): boolean {
  return process.platform !== 'linux' || glibcVersion() !== null;
}
