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

const ofTensors = ['dtype', 'layout', 'device', 'pinMemory'];

/** An object of these arguments by name; those of all functions that make a leaf are `TensorOptions`. */
function namedType(schema, parameters, mayBeLeftOut) {
  const factory = isFactory(schema);
  const members = parameters
    .filter(({ key }) => !factory || !ofTensors.includes(key))
    .map((parameter) => {
      const mark = mayBeLeftOut(parameter) ? '?' : '';
      return `${parameter.key}${mark}: ${parameterType(schema.name, parameter)}`;
    });
  if (members.length === 0) return 'TensorOptions';
  if (!factory && mayBeTensor(parameters)) members.push('handle?: never');
  const own = `{ ${members.join('; ')} }`;
  return factory ? `TensorOptions & ${own}` : own;
}

/** A tensor has properties of some names too, and is no options object; its method `dim` fits none. */
function mayBeTensor(parameters) {
  const has = (...names) => parameters.some(({ key }) => names.includes(key));
  return has('dtype', 'device', 'shape') && !has('dim');
}

const reserved = new Set(
  'in var new with default function this delete case arguments eval'.split(' '),
);

/**
 * The call signatures of one schema, `self` left out for a method, one for each form: all by position but
 * what has a name only; and, after any number of arguments by position, the rest by name.
 */
export function signatures(schema, method) {
  const positional = schema.parameters.filter(({ keywordOnly }) => !keywordOnly);
  const byName = schema.parameters.filter(({ keywordOnly }) => keywordOnly);
  const needed = positional.findLastIndex((parameter) => !mayBeLeftOut(parameter)) + 1;
  const result = returnType(schema.returns);
  const drop = method ? 1 : 0;
  // Undefined is null where something must follow.
  const followed = positional.findLastIndex(
    ({ hasDefault, type }) => !hasDefault && !type.optional,
  );
  const texts = positional.map((parameter, i) => {
    const type = `${nameOf(parameter)}: ${parameterType(schema.name, parameter)}`;
    return parameter.type.optional && i < followed ? `${type} | undefined` : type;
  });
  const isOptional = (parameter) =>
    mayBeLeftOut(parameter) && positional.indexOf(parameter, needed) >= 0;
  const options = (parameters) =>
    namedType(schema, parameters, (p) => (p.keywordOnly ? mayBeLeftOut(p) : isOptional(p)));
  const before = (count) =>
    texts.slice(drop, count).map((text, i) => (i + drop < needed ? text : `${text} | undefined`));
  const form = (parts) => `(${parts.join(', ')}): ${result}`;

  const mustBeNamed = byName.some((parameter) => !mayBeLeftOut(parameter));
  const last = byName.length === 0 ? [] : [options(byName)];
  const all = mustBeNamed
    ? [...before(positional.length), `options: ${last[0]}`]
    : [
        ...texts.slice(drop, needed),
        ...texts.slice(Math.max(needed, drop)).map((text) => text.replace(':', '?:')),
        ...last.map((type) => `options?: ${type}`),
      ];
  const forms = [form(all)];
  const place = variadicPlace(schema);
  if (place >= drop && place === needed - 1) {
    const one = single[positional[place].type.kind];
    const name = nameOf(positional[place]);
    const head = [...texts.slice(drop, place), `${name}: ${one}`, `...more: ${one}[]`];
    if (!mustBeNamed) forms.push(form(head));
    const rest = [...positional.slice(needed), ...byName];
    if (rest.length > 0) {
      forms.push(form([`...args: [${[...head, `options: ${options(rest)}`].join(', ')}]`]));
    }
  }
  for (const count of prefixes(positional, needed)) {
    if (count < drop) continue;
    const named = options([...positional.slice(count), ...byName]);
    forms.push(form([...before(count), `options: ${named}`]));
  }
  if (!method && numbersFirst.has(schema.name) && positional[1]?.type.kind === 'Tensor') {
    forms.push(
      form([
        'self: Scalar',
        ...texts.slice(1),
        ...last.map((type) => `options${mustBeNamed ? '' : '?'}: ${type}`),
      ]),
    );
  }
  return forms;
}

/**
 * After how many arguments by position the rest may come by name: any that leaves only such as may be left
 * out, all leading tensors, and the first.
 */
function prefixes(positional, needed) {
  const other = positional.findIndex(({ type }) => type.kind !== 'Tensor' || type.list);
  const tensors = other < 0 ? positional.length : other;
  const early = [1, tensors].filter((count) => count > 0 && count < needed);
  const late = Array.from({ length: positional.length - needed }, (_, i) => needed + i);
  return [...new Set([...early, ...late])].sort((a, b) => b - a);
}

function nameOf({ key }) {
  return reserved.has(key) ? `${key}_` : key;
}

/** One without a default must be given, if only as null; without a generator another overload fits. */
function mayBeLeftOut({ hasDefault, type }) {
  return hasDefault || type.kind === 'Generator';
}
