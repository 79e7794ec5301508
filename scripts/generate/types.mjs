/** TypeScript forms of schema types. */
import { camelCase, isFactory, variadicPlace } from '../../dist/torch/schema.js';
import { numbersFirst } from './selection.mjs';
import { wordsType } from './words.mjs';

const single = {
  Tensor: 'Tensor',
  int: 'number',
  float: 'number',
  bool: 'boolean',
  str: 'string',
  Scalar: 'Scalar',
  ScalarType: 'DType',
  Layout: 'Layout',
  MemoryFormat: 'MemoryFormat',
  Device: 'string',
  Generator: 'Generator',
};

function parameterType(operator, parameter) {
  const { type } = parameter;
  const base = type.list ? listType(type) : (wordsType(operator, parameter) ?? single[type.kind]);
  return type.optional ? `${base} | null` : base;
}

function listType({ kind, optionalElements }) {
  if (kind === 'int' || kind === 'float') return 'NumberList';
  return optionalElements ? `readonly (${single[kind]} | null)[]` : `readonly ${single[kind]}[]`;
}

/** Several results are a tuple, and where the schema names them an object with these names as well. */
function returnType(returns) {
  const types = returns.map(({ type }) =>
    type.list ? `${single[type.kind]}[]` : single[type.kind],
  );
  if (types.length === 0) return 'void';
  if (types.length === 1) return types[0];
  if (!returns.every(({ name }) => name !== null)) return `[${types.join(', ')}]`;
  const fields = types.map((type, i) => `${camelCase(returns[i].name)}: ${type}`);
  return `[${fields.join(', ')}] & { ${fields.map((field) => `readonly ${field}`).join('; ')} }`;
}

/** Collects the options objects of all overloads; equal ones share an interface. */
export class OptionTypes {
  #names = new Map();
  #taken = new Set();

  /** The interface for these parameters of a schema, or null where there are none. */
  nameFor(schema, parameters) {
    if (parameters.length === 0) return null;
    const members = parameters.map(
      (parameter) =>
        `${parameter.key}${isNeeded(parameter) ? '' : '?'}: ${parameterType(schema.name, parameter)};`,
    );
    if (isFactory(schema)) members.push('requiresGrad?: boolean;');
    const content = members.join(' ');
    if (!this.#names.has(content)) this.#names.set(content, this.#invent(parameters));
    return this.#names.get(content);
  }

  #invent(parameters) {
    const keys = parameters.map(({ key }) => key);
    const tensor = ['dtype', 'layout', 'device', 'pinMemory'];
    const isTensor = tensor.every((key) => keys.includes(key));
    const named = isTensor ? keys.filter((key) => !tensor.includes(key)) : keys;
    const stem = named.slice(0, 4).map(pascalCase).join('') + (isTensor ? 'Tensor' : '');
    let name = `${stem}Options`;
    for (let i = 2; this.#taken.has(name); i++) name = `${stem}Options${i}`;
    this.#taken.add(name);
    return name;
  }

  declarations() {
    return [...this.#names]
      .map(([content, name]) => `export interface ${name} { ${content} }`)
      .sort();
  }

  names() {
    return [...this.#taken].sort();
  }
}

function isNeeded({ keywordOnly, hasDefault, type }) {
  return keywordOnly && !hasDefault && !type.optional;
}

function pascalCase(key) {
  return key.replace(/^_*(\w)/, (_, first) => first.toUpperCase());
}

const reserved = new Set(
  'in var new with default function this delete case arguments eval'.split(' '),
);

/** The call signatures of one schema, `self` left out for a method. */
export function signatures(schema, options, method) {
  const positional = schema.parameters.filter(({ keywordOnly }) => !keywordOnly);
  const lastNeeded = positional.findLastIndex((parameter) => !mayBeNamed(parameter));
  const optionsName = options.nameFor(schema, [
    ...positional.slice(lastNeeded + 1),
    ...schema.parameters.filter(({ keywordOnly }) => keywordOnly),
  ]);
  const needed = schema.parameters.some(isNeeded);
  const texts = positional.map((parameter) => {
    const name = nameOf(parameter);
    const type = parameterType(schema.name, parameter);
    if (positional.indexOf(parameter) <= lastNeeded) return `${name}: ${type}`;
    // Options may come in place of this argument and all after it.
    return needed
      ? `${name}: ${type} | ${optionsName} | undefined`
      : `${name}?: ${type} | ${optionsName}`;
  });
  const result = returnType(schema.returns);
  const trailing = optionsName === null ? [] : [`options${needed ? '' : '?'}: ${optionsName}`];
  const drop = method ? 1 : 0;
  const all = [`(${[...texts.slice(drop), ...trailing].join(', ')}): ${result}`];
  const place = variadicPlace(schema);
  if (place >= drop && place === lastNeeded) {
    const { type } = positional[place];
    const one = single[type.kind];
    const several = [`${nameOf(positional[place])}: ${one}`, `...more: ${one}[]`];
    const head = [...texts.slice(drop, place), ...several];
    if (!needed) all.push(`(${head.join(', ')}): ${result}`);
    if (optionsName !== null) {
      all.push(`(...args: [${[...head, `options: ${optionsName}`].join(', ')}]): ${result}`);
    }
  }
  for (const count of prefixes(positional, lastNeeded)) {
    const named = [...positional.slice(count), ...schema.parameters.filter((p) => p.keywordOnly)];
    const members = named.map((parameter) => {
      const optional = positional.indexOf(parameter) > lastNeeded || parameter.keywordOnly;
      const mark = optional && !isNeeded(parameter) ? '?' : '';
      return `${parameter.key}${mark}: ${parameterType(schema.name, parameter)}`;
    });
    if (isFactory(schema)) members.push('requiresGrad?: boolean');
    all.push(
      `(${[...texts.slice(drop, count), `args: { ${members.join('; ')} }`].join(', ')}): ${result}`,
    );
  }
  if (!method && numbersFirst.has(schema.name) && positional[1]?.type.kind === 'Tensor') {
    all.push(`(self: Scalar, ${[...texts.slice(1), ...trailing].join(', ')}): ${result}`);
  }
  return all;
}

/** After how many arguments those that are needed may come by name: the first, and all leading tensors. */
function prefixes(positional, lastNeeded) {
  const other = positional.findIndex(({ type }) => type.kind !== 'Tensor' || type.list);
  const tensors = other < 0 ? positional.length : other;
  return [...new Set([1, tensors])].filter((count) => count > 0 && count <= lastNeeded);
}

function nameOf({ key }) {
  return reserved.has(key) ? `${key}_` : key;
}

/** True for positional arguments that may be left out, or given in the options object instead. */
function mayBeNamed({ hasDefault, type }) {
  return hasDefault || type.optional;
}
