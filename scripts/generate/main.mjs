/**
 * Writes lib/torch/generated and docs/operators.md from the schemas of the dispatcher.
 *
 *   node scripts/generate/main.mjs            write
 *   node scripts/generate/main.mjs --check    exit 1 where the files differ from what would be written
 *   … --schemas FILE                          read schemas from a file instead of the addon
 *
 * Needs dist/ (npm run build): the schema parser is the library's own.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { coveragePage } from './coverage.mjs';
import { familiesOf } from './families.mjs';
import { banner, generatedFiles } from './files.mjs';
import { ownOperatorsFile } from './own.mjs';

/** Files are checked in for this libtorch; another has more or fewer operators. */
const generatedFor = '2.13';

const root = fileURLToPath(new URL('../../', import.meta.url));
const { schemas, version } = await readSchemas();
const { families, skipped, counts } = familiesOf(schemas);
const files = {
  ...generatedFiles(families),
  'lib/torch/generated/m3l.ts': ownOperatorsFile(schemas, banner),
  'docs/operators.md': coveragePage(families, skipped, counts, generatedFor),
};

if (process.argv.includes('--check')) {
  if (version !== null && !version.startsWith(`${generatedFor}.`)) {
    console.log(`skipped: libtorch is ${version}, the checked-in files are for ${generatedFor}`);
    process.exit(0);
  }
  const stale = Object.keys(files).filter((path) => read(path) !== files[path]);
  for (const path of stale) console.log(`${path} differs; run: npm run generate`);
  if (stale.length === 0)
    console.log(`${Object.keys(files).length} generated files are up to date`);
  process.exit(stale.length === 0 ? 0 : 1);
}

for (const [path, text] of Object.entries(files)) {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  if (read(path) === text) continue;
  writeFileSync(join(root, path), text);
  console.log(`wrote ${relative(process.cwd(), join(root, path))}`);
}

function read(path) {
  const file = join(root, path);
  return existsSync(file) ? readFileSync(file, 'utf8') : null;
}

async function readSchemas() {
  const flag = process.argv.indexOf('--schemas');
  if (flag >= 0) {
    const text = readFileSync(process.argv[flag + 1], 'utf8');
    return { schemas: text.split('\n').filter(Boolean), version: null };
  }
  const { libtorch, loadCore } = await import(
    new URL('../../dist/torch/native.js', import.meta.url)
  );
  return { schemas: loadCore().operators(), version: libtorch().version };
}
