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

const dist = (path) => import(new URL(`../../dist/${path}.js`, import.meta.url));
const { KINDS } = await dist('data/kinds/registry');
const { READERS } = await dist('data/readers/registry');
const { layoutSchema } = await dist('experiment/config/schema');
const { defaultOf, expandShortForms, isRecord, schemaAt } = await dist('experiment/config/shape');
const { checkConfig } = await dist('experiment/config/config');
const { frameworks } = await dist('learning/frameworks/registry');
const { models } = await dist('models/registry');

const INTRODUCTION = `# Configuration

Every key of a configuration file, and every model, framework, kind of modality and image format, written
from schema and registries by \`npm run reference\`; do not edit. [your-own-data.md](your-own-data.md) is the
walk-through.

- \`extends: base.yaml\`, or a list of files, relative to the file: of each key the last that was written
  counts, the later file's in the list and the file's own last of all. Objects are laid over each other key
  by key, lists are replaced, and \`null\` takes a key back to its default. A data set is such a file, with
  \`data:\` in it (\`configs/data\`).
- A name that is no file is the package's configuration of that name, in \`extends\` and for \`m3l check\`,
  \`train\` and \`compare-frameworks\`: ${await packaged()}.
- \`--set key.path=value\` on the command line comes last: \`--set data.modalities.depth.invalid=0\`,
  \`--set data.crop.0=64\`. The value is YAML.
- Relative paths are relative to the file that they stand in; those of \`--set\` to the current folder.
- \`\${NAME}\` and \`\${NAME:-default}\` in a text stand for variables of the environment, \`$\${\` for \`\${\`.
`;

const minimal = checkConfig({
  data: { root: '.', classes: 2, lists: { labelled: 'a', unlabelled: 'b', val: 'c' } },
});

const page = [INTRODUCTION, ...registries(), ...sections()].join('\n');
const file = fileURLToPath(new URL('../../docs/configuration.md', import.meta.url));
const current = existsSync(file) ? readFileSync(file, 'utf8') : '';

if (!process.argv.includes('--check')) {
  if (current !== page) writeFileSync(file, page);
} else if (current === page) console.log('docs/configuration.md is up to date');
else {
  console.log('docs/configuration.md differs; run: npm run reference');
  process.exit(1);
}

/** The names of the package's configurations. */
async function packaged() {
  const { packagedConfigs } = await dist('experiment/config/packaged');
  return packagedConfigs()
    .map((name) => `\`${name}\``)
    .join(', ');
}

/** A table for each registry. */
function registries() {
  const yes = (value) => (value ? 'yes' : 'no');
  const count = ({ least, most }) =>
    least === most
      ? `${least}`
      : most === Number.POSITIVE_INFINITY
        ? `from ${least}`
        : `${least} to ${most}`;
  return [
    table(
      'Models',
      ['`model.name`', 'what it is', 'modalities', 'mask token', 'options of its own'],
      models.map(({ name, summary, modalities, maskToken, options }) => [
        `\`${name}\``,
        summary,
        count(modalities),
        yes(maskToken),
        keysIn(options),
      ]),
    ),
    table(
      'Frameworks',
      [
        '`framework.name`',
        'what it learns from',
        'unlabelled images',
        'masks modalities',
        'options of its own',
      ],
      frameworks.map(({ name, summary, needsUnlabelled, masksModalities, options }) => [
        `\`${name}\``,
        summary,
        yes(needsUnlabelled),
        yes(masksModalities),
        keysIn(options),
      ]),
    ),
    table(
      'Kinds of modality',
      [
        '`kind`',
        'what the values mean',
        'values a pixel',
        'resized by',
        'keys beside `range`, `scale`, `mean`, `std`, `jitter.gain`',
      ],
      Object.entries(KINDS).map(([name, { description, channels, interpolation, keys }]) => [
        `\`${name}\``,
        description,
        `${channels}`,
        interpolation,
        keys.map((key) => `\`${key}\``).join(', '),
      ]),
    ),
    table(
      'Image files',
      ['format', 'what is read'],
      READERS.map(({ name, summary }) => [name, summary]),
    ),
  ];
}

function keysIn(options) {
  return Object.keys(options?.shape ?? {})
    .map((key) => `\`${key}\``)
    .join(', ');
}

function table(title, head, rows) {
  const line = (cells) => `| ${cells.map((cell) => cell || '–').join(' | ')} |`;
  return `## ${title}\n\n${[line(head), `|${'---|'.repeat(head.length)}`, ...rows.map(line)].join('\n')}\n`;
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
  if (json.path !== undefined) {
    return ['path', ...(json.words ?? []).map((word) => `\`${word}\``)].join(', ');
  }
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
  // All that there are, or all that a number can be.
  if (least === Number.MIN_SAFE_INTEGER) return '';
  const parts = [];
  if (least !== undefined) parts.push(`from ${written(least)}`);
  else if (exclusiveMinimum !== undefined) parts.push(`above ${written(exclusiveMinimum)}`);
  if (maximum === Number.MAX_SAFE_INTEGER) parts.push('to 2⁵³ − 1');
  else if (maximum !== undefined) parts.push(`to ${written(maximum)}`);
  return ['', ...parts].join(' ');
}

function written(value) {
  if (Math.abs(value) >= 1e12) return value.toExponential().replace('e+', 'e');
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
