/**
 * Writes docs/configuration.md, every key of a configuration, from its schema.
 *
 *   node scripts/generate/config-reference.mjs            write (npm run reference)
 *   node scripts/generate/config-reference.mjs --check    exit 1 where the page differs
 *
 * Needs dist/ (npm run build).
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';

const dist = (path) => import(new URL(`../../dist/experiment/config/${path}.js`, import.meta.url));
const { layoutSchema } = await dist('schema');
const { defaultOf, expandShortForms, isRecord, schemaAt } = await dist('shape');
const { checkConfig } = await dist('config');

const INTRODUCTION = `# Configuration

Every key of a configuration file, written from its schema by \`npm run reference\`; do not edit.

- \`extends: base.yaml\`, or a list of files, relative to the file: of each key the last that was written
  counts, the later file's in the list and the file's own last of all. Objects are laid over each other key
  by key, lists are replaced, and \`null\` takes a key back to its default. A data set is such a file, with
  \`data:\` in it (\`configs/data\`).
- \`--set key.path=value\` on the command line comes last: \`--set data.modalities.depth.invalid=0\`,
  \`--set data.crop.0=64\`. The value is YAML.
- Relative paths are relative to the file that they stand in; those of \`--set\` to the current folder.
- \`\${NAME}\` and \`\${NAME:-default}\` in a text stand for variables of the environment, \`$\${\` for \`\${\`.
`;

const minimal = checkConfig({
  data: { root: '.', classes: 2, lists: { labelled: 'a', unlabelled: 'b', val: 'c' } },
});

const page = [INTRODUCTION, ...sections()].join('\n');
const file = fileURLToPath(new URL('../../docs/configuration.md', import.meta.url));
const current = existsSync(file) ? readFileSync(file, 'utf8') : '';

if (!process.argv.includes('--check')) {
  if (current !== page) writeFileSync(file, page);
} else if (current === page) console.log('docs/configuration.md is up to date');
else {
  console.log('docs/configuration.md differs; run: npm run reference');
  process.exit(1);
}

/** A table for each object of the schema; objects of the same keys share one. */
function sections() {
  const root = z.toJSONSchema(layoutSchema, { io: 'output', unrepresentable: 'any' });
  const found = new Map();
  collect(root, [], found);
  return [...found.values()].map(({ paths, json }) => {
    const names = paths.map((path) => `\`${path.join('.')}\``);
    const title = paths[0].length === 0 ? 'The whole' : names.join(', ');
    return `## ${title}\n\n| key | value | default | |\n|---|---|---|---|\n${rows(json, paths[0])}\n`;
  });
}

function collect(json, path, found) {
  if (json.properties !== undefined) {
    const key = JSON.stringify(json.properties);
    const known = found.get(key);
    if (known === undefined) found.set(key, { paths: [path], json });
    else known.paths.push(path);
    for (const [name, child] of Object.entries(json.properties)) {
      collect(child, [...path, name], found);
    }
  }
  for (const option of json.anyOf ?? []) collect(option, path, found);
  if (typeof json.additionalProperties === 'object') {
    collect(json.additionalProperties, [...path, 'NAME'], found);
  }
  if (json.items?.properties !== undefined) collect(json.items, [...path, 'INDEX'], found);
}

function rows(json, path) {
  return Object.entries(json.properties)
    .map(([key, child]) => {
      const cells = [`\`${key}\``, wordsOf(child), defaultAt([...path, key]), child.description];
      return `| ${cells.map((cell) => (cell ?? '').replaceAll('|', '\\|')).join(' | ')} |`;
    })
    .join('\n');
}

/** What a value may be, in words. */
function wordsOf(json) {
  if (json.expects !== undefined) return json.expects;
  if (json.path !== undefined) return 'path';
  if (json.enum !== undefined) return json.enum.map((value) => `\`${value}\``).join(', ');
  if (json.const !== undefined) return `\`${json.const}\``;
  if (json.anyOf !== undefined) return [...new Set(json.anyOf.map(wordsOf))].join(', or ');
  if (json.properties !== undefined) return 'keys, below';
  if (json.prefixItems !== undefined) return `[${json.prefixItems.map(wordsOf).join(', ')}]`;
  if (json.type === 'array') {
    const { minItems: least, maxItems: most } = json;
    const amount =
      most === undefined
        ? ''
        : least === most
          ? `${most} × `
          : `${least ?? 0} to ${written(most)} × `;
    return `list of ${amount}${wordsOf(json.items)}`;
  }
  if (json.type === 'object') return `by name: ${wordsOf(json.additionalProperties)}`;
  if (json.type === 'integer') return `whole number${bounds(json)}`;
  if (json.type === 'number') return `number${bounds(json)}`;
  return { boolean: '`true`, `false`', string: 'text', null: '`null`' }[json.type] ?? 'any';
}

function bounds({ minimum, exclusiveMinimum, maximum, type }) {
  const whole = type === 'integer' && exclusiveMinimum !== undefined;
  const least = minimum ?? (whole ? exclusiveMinimum + 1 : undefined);
  const parts = [];
  if (least !== undefined) parts.push(`from ${written(least)}`);
  else if (exclusiveMinimum !== undefined) parts.push(`above ${written(exclusiveMinimum)}`);
  if (maximum === Number.MAX_SAFE_INTEGER) parts.push('to 2⁵³ − 1');
  else if (maximum !== undefined) parts.push(`to ${written(maximum)}`);
  return ['', ...parts].join(' ');
}

function written(value) {
  return Math.abs(value) >= 10_000 ? value.toLocaleString('en') : String(value);
}

/** The default of a key; of the framework's, what its fidelity resolves to. */
function defaultAt(path) {
  const schema = schemaAt(layoutSchema, path);
  const declared = expandShortForms(defaultOf(schema), schema);
  const resolved = path.reduce((at, key) => at?.[key], minimal);
  const value = declared === undefined && path[0] === 'framework' ? resolved : declared;
  // The defaults of an object's keys stand in its own table.
  if (value === undefined || (isRecord(value) && path[0] !== 'data')) return '';
  return `\`${JSON.stringify(value)}\``.replaceAll('"', "'");
}
