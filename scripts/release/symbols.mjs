// Lists the highest GLIBC, GLIBCXX and CXXABI symbol that each native file needs, and fails above the
// baseline: a file that was built on a newer system does not open on the oldest that is supported.
//
//     node scripts/release/symbols.mjs [FILE | FOLDER …] [--json]     default: build/native
import { spawnSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** What Debian 11 has; README.md states it. @type {Record<string, string>} */
export const BASELINE = { GLIBC: '2.31', GLIBCXX: '3.4.28', CXXABI: '1.3.12' };

/** @typedef {{ file: string, highest: Record<string, string>, above: string[] }} Needs */

/** @param {string} a @param {string} b */
const compare = (a, b) => a.localeCompare(b, 'en', { numeric: true });

/**
 * What one file needs, and what of it is above the baseline.
 * @param {string} file @param {Record<string, string>} [baseline] @returns {Needs}
 */
export function needsOf(file, baseline = BASELINE) {
  const { status, stdout, error } = spawnSync('readelf', ['--version-info', '--wide', file], {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  if (status !== 0) throw new Error(`readelf ${file}: ${error?.message ?? 'it is no ELF file'}`);
  /** @type {Record<string, string>} */
  const highest = {};
  for (const [, kind, version] of stdout.matchAll(/Name: (GLIBC|GLIBCXX|CXXABI)_([\d.]+)/g)) {
    if (compare(version, highest[kind] ?? '0') > 0) highest[kind] = version;
  }
  const above = Object.entries(highest)
    .filter(([kind, version]) => compare(version, baseline[kind]) > 0)
    .map(([kind, version]) => `${kind}_${version} > ${kind}_${baseline[kind]}`);
  return { file, highest, above };
}

/** Of every .node and .so file in the folders. @param {string[]} places @returns {Needs[]} */
export function needsOfAll(places) {
  return places
    .flatMap((place) =>
      statSync(place).isFile()
        ? [place]
        : readdirSync(place, { recursive: true, encoding: 'utf8' })
            .filter((name) => /\.(node|so)$/.test(name))
            .map((name) => join(place, name)),
    )
    .sort()
    .map((file) => needsOf(file));
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const given = process.argv.slice(2).filter((word) => word !== '--json');
  const all = needsOfAll(given.length > 0 ? given : [join(root, 'build', 'native')]);
  if (process.argv.includes('--json'))
    console.log(JSON.stringify({ baseline: BASELINE, files: all }));
  else {
    for (const { file, highest, above } of all) {
      const needs = Object.entries(highest).map(([kind, version]) => `${kind}_${version}`);
      const mark = above.length === 0 ? 'ok  ' : 'FAIL';
      console.log(`${mark} ${relative(process.cwd(), file)}: ${[...needs, ...above].join(', ')}`);
    }
  }
  if (all.some(({ above }) => above.length > 0)) process.exitCode = 1;
}
