/** TypeScript forms of schema types. */

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

export function parameterType(type) {
  const base = type.list ? listType(type) : single[type.kind];
  return type.optional ? `${base} | null` : base;
}

function listType({ kind, optionalElements }) {
  if (kind === 'int' || kind === 'float') return 'NumberList';
  return optionalElements ? `readonly (${single[kind]} | null)[]` : `readonly ${single[kind]}[]`;
}

export function returnType(returns) {
  const types = returns.map(({ type }) =>
    type.list ? `${single[type.kind]}[]` : single[type.kind],
  );
  if (types.length === 0) return 'void';
  if (types.length === 1) return types[0];
  const named = returns.every(({ name }) => name !== null);
  return `[${types.map((type, i) => (named ? `${returns[i].name}: ${type}` : type)).join(', ')}]`;
}

/** Collects the options objects of all overloads; equal ones share an interface. */
export class OptionTypes {
  #names = new Map();
  #taken = new Set();

  /** The interface for these parameters, or null where there are none. */
  nameFor(parameters) {
    if (parameters.length === 0) return null;
    const members = parameters.map(
      ({ key, keywordOnly, hasDefault, type }) =>
        `${key}${keywordOnly && !hasDefault && !type.optional ? '' : '?'}: ${parameterType(type)};`,
    );
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

function pascalCase(key) {
  return key.replace(/^_*(\w)/, (_, first) => first.toUpperCase());
}

const reserved = new Set(
  'in var new with default function this delete case arguments eval'.split(' '),
);

/** One call signature, `self` left out for a method. Empty `options` means there are none. */
export function signature(schema, options, method) {
  const positional = schema.parameters.filter(({ keywordOnly }) => !keywordOnly);
  const lastNeeded = positional.findLastIndex((parameter) => !mayBeNamed(parameter));
  const optionsName = options.nameFor([
    ...positional.slice(lastNeeded + 1),
    ...schema.parameters.filter(({ keywordOnly }) => keywordOnly),
  ]);
  const needed = schema.parameters.some(
    ({ keywordOnly, hasDefault, type }) => keywordOnly && !hasDefault && !type.optional,
  );
  const texts = (method ? positional.slice(1) : positional).map((parameter) => {
    const name = reserved.has(parameter.key) ? `${parameter.key}_` : parameter.key;
    const type = parameterType(parameter.type);
    if (positional.indexOf(parameter) <= lastNeeded) return `${name}: ${type}`;
    // Options may come in place of this argument and all after it.
    return needed
      ? `${name}: ${type} | ${optionsName} | undefined`
      : `${name}?: ${type} | ${optionsName}`;
  });
  if (optionsName !== null) texts.push(`options${needed ? '' : '?'}: ${optionsName}`);
  return `(${texts.join(', ')}): ${returnType(schema.returns)}`;
}

/** True for positional arguments that may be left out, or given in the options object instead. */
function mayBeNamed({ hasDefault, type }) {
  return hasDefault || type.optional;
}
