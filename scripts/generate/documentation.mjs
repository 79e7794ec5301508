/** The documentation comment of an operator: what it gives, defaults, where PyTorch's documentation has it. */
import { readFileSync } from 'node:fs';
import { camelCase } from '../../dist/torch/schema.js';
import { sentenceOf } from './sentences/index.mjs';

/** By the codes that schemas have as defaults. */
const dtypes = ['uint8', 'int8', 'int16', 'int32', 'int64'];
const memoryFormats = ['contiguous', 'preserve', 'channelsLast'];

/** One line; the schemas in PyTorch's spelling where nothing is known of the operator but them. */
export function documentation({ name, namespace, schemas }, names) {
  const written = writtenName(schemas[0]);
  const internal = derivative(name, names) ?? ofLibrary(name);
  const sentence = sentenceOf(name, written);
  if (sentence === null && internal !== null) return `/** ${internal} */`;
  const parts = [sentence ?? schemas.map(({ text }) => `\`${text}\``).join(', ')];
  if (sentence !== null) parts.push(...reduction(schemas), ...defaults(schemas));
  const home = homes.get(name);
  if (home !== undefined) {
    const short = namespace === null ? name : name.slice(namespace.length + 1);
    parts.push(`PyTorch: \`${home}.${short}\`.`);
  } else if (sentence !== null) {
    parts.push(`PyTorch: \`aten::${name}\`, undocumented.`);
  }
  return `/** ${parts.join(' ').replaceAll('*/', '*\\/')} */`;
}

const homes = readHomes();

function readHomes() {
  const text = readFileSync(new URL('documented.txt', import.meta.url), 'utf8');
  return new Map(
    [...text.matchAll(/^(\S+):\n((?: {2}.*\n)*)/gm)].flatMap(([, home, list]) =>
      list
        .split(/\s+/)
        .filter(Boolean)
        .map((name) => [name, home]),
    ),
  );
}

/** The argument that the operator writes and returns. */
function writtenName({ parameters, returns }) {
  const letter = returns.find(({ writes }) => writes !== null)?.writes;
  return parameters.find(({ writes }) => writes !== null && writes === letter)?.key ?? 'self';
}

function derivative(name, names) {
  const of = /^(\w+?)_backward$/.exec(name)?.[1];
  return of === undefined || !names.has(of)
    ? null
    : `Internal to PyTorch: gradients of \`${camelCase(of)}\`, as autograd computes them.`;
}

const libraries = {
  cudnn: 'cuDNN',
  fbgemm: 'FBGEMM',
  miopen: 'MIOpen, for AMD',
  mkldnn: 'oneDNN',
  mps: 'Metal, for Apple',
};

function ofLibrary(name) {
  const library = libraries[name.split('_')[0]];
  return library === undefined ? null : `Internal to PyTorch, of ${library}.`;
}

function reduction(schemas) {
  const parameters = schemas.flatMap((schema) => schema.parameters);
  const found = parameters.find(({ name, words }) => name === 'reduction' && words !== null);
  return found?.hasDefault ? ['The mean, unless `reduction` says otherwise.'] : [];
}

/** Defaults other than none, of names that have one in all overloads. */
function defaults(schemas) {
  const found = new Map();
  for (const parameter of schemas.flatMap(({ parameters }) => parameters)) {
    const { key, name, hasDefault } = parameter;
    if (!hasDefault || name === 'reduction') continue;
    found.set(key, (found.get(key) ?? new Set()).add(defaultText(parameter)));
  }
  const told = [...found].filter(([, texts]) => texts.size === 1 && !texts.has('null'));
  if (told.length === 0) return [];
  return [`Defaults: ${told.map(([key, [text]]) => `${key} ${text}`).join(', ')}.`];
}

function defaultText({ defaultText: text, type, words }) {
  if (text === 'None') return 'null';
  if (text === 'True' || text === 'False') return text.toLowerCase();
  if (words !== null) return `'${Object.keys(words).find((word) => words[word] === Number(text))}'`;
  if (type.kind === 'ScalarType') return `'${dtypes[Number(text)]}'`;
  if (type.kind === 'MemoryFormat') return `'${memoryFormats[Number(text)]}'`;
  if (type.kind === 'str') return text.replaceAll('"', "'");
  if (type.list || text === 'inf') return text.replaceAll('inf', 'Infinity');
  return String(Number(text));
}
