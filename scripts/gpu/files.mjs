// What a machine with a CUDA device is brought of what git does not track: of node_modules what the tests, the
// benchmarks and the build of the addon read, by package-lock.json; and dist/.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Beside what package.json says the library needs. */
const TOOLS = ['vitest', 'node-addon-api', 'node-api-headers'];
const LINKS = ['dependencies', 'optionalDependencies', 'peerDependencies'];

/**
 * The folders of node_modules, below `root`, that are needed there.
 * @param {string} root of the repository
 * @returns {string[]}
 */
export function modulesToBring(root) {
  const read = (/** @type {string} */ file) => JSON.parse(readFileSync(join(root, file), 'utf8'));
  const { packages } = read('package-lock.json');
  const found = new Set();
  const open = [...Object.keys(read('package.json').dependencies), ...TOOLS].map((name) => ({
    name,
    from: '',
  }));
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const place = placeOf(packages, next.name, next.from);
    if (place === null || found.has(place) || !existsSync(join(root, place))) continue;
    found.add(place);
    const { peerDependenciesMeta: peers = {}, ...links } = packages[place];
    for (const link of LINKS) {
      for (const name of Object.keys(links[link] ?? {})) {
        if (!peers[name]?.optional) open.push({ name, from: place });
      }
    }
  }
  // What lies inside another one comes along with that.
  return [...found].filter((place) => place.lastIndexOf('node_modules/') === 0).sort();
}

/**
 * Where Node finds a package that the one in `from` asks for: there, or in a folder around it.
 * @param {Record<string, unknown>} packages @param {string} name @param {string} from
 * @returns {string | null}
 */
function placeOf(packages, name, from) {
  for (let around = from; ; around = around.replace(/(^|\/)node_modules\/(@[^/]+\/)?[^/]+$/, '')) {
    const place = `${around === '' ? '' : `${around}/`}node_modules/${name}`;
    if (place in packages) return place;
    if (around === '') return null;
  }
}
