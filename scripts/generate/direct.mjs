/**
 * Code of the direct paths: where the arguments have exactly the types of an overload and there are no
 * options, the core is called at once; everything else goes to the overload search.
 */

/** The direct functions of one operator; null where no overload allows one. */
export function directCode(family, operators) {
  const overloads = family.schemas.filter(isDirect);
  if (overloads.length === 0) return null;
  const { method } = family;
  const branches = overloads.map((schema) => branch(schema, method, overloads, operators));
  const count = Math.max(...overloads.map((schema) => positionals(schema).length));
  const first = method ? 1 : 0;
  const names = Array.from({ length: count - first + 1 }, (_, i) => `p${i + first}`);
  const parameters = names.map((name) => `${name}?: unknown`).join(', ');
  const head = method ? `this: Tensor, ${parameters}` : parameters;
  const all = method ? '[this, ...arguments]' : '[...arguments]';
  const body = `\n    ${branches.join('\n    ')}\n    return ${family.key}Family.invoke(${all});\n  `;
  const declared = `const ${family.key}Family = ${familyCode(family)};`;
  if (!method)
    return { declared, method: null, function: `${family.key}(${head}): unknown {${body}},` };
  return {
    declared,
    method: `${family.key}(${head}): unknown {${body}},`,
    function:
      `${family.key}(p0?: unknown, ${parameters}): unknown {\n` +
      `    return p0 instanceof Tensor && arguments.length <= ${names.length + 1}` +
      ` ? methods.${family.key}.call(p0, ${names.join(', ')}) : ${family.key}Family.invoke([...arguments]);\n  },`,
  };
}

function familyCode({ name, schemas }) {
  const overloads = schemas.map(({ overload }) => `'${overload}'`).join(', ');
  return `new Family('aten::${name}', [${overloads}])`;
}

function positionals(schema) {
  return schema.parameters.filter(({ keywordOnly }) => !keywordOnly);
}

/** One tensor comes back, and each argument has a cheap test. */
function isDirect(schema) {
  const [result] = schema.returns;
  return (
    schema.returns.length === 1 &&
    result.type.kind === 'Tensor' &&
    !result.type.list &&
    schema.parameters.every(({ keywordOnly, hasDefault }) => !keywordOnly || hasDefault) &&
    positionals(schema).every(({ type, hasDefault }) =>
      hasDefault && leftOut(type) ? true : test('', type) !== null,
    )
  );
}

function branch(schema, method, overloads, operators) {
  const parameters = positionals(schema);
  const longest = Math.max(...overloads.map((other) => positionals(other).length));
  const tests = [];
  const values = [];
  parameters.forEach(({ type, hasDefault }, i) => {
    if (method && i === 0) {
      values.push('this.handle');
      return;
    }
    const name = `p${i}`;
    const fits = test(name, type);
    if (leftOut(type)) tests.push(`${name} === undefined`);
    else if (hasDefault) tests.push(`(${name} === undefined || ${fits})`);
    else tests.push(fits);
    values.push(value(name, type, hasDefault));
  });
  for (let i = parameters.length; i <= longest; i++) tests.push(`p${i} === undefined`);
  const id = operators.push({ name: schema.name, overload: schema.overload }) - 1;
  const call = `core.call(operator(${id}), ${values.join(', ')})`;
  const written = schema.parameters.findIndex(
    ({ writes }) => writes !== null && writes === schema.returns[0].writes,
  );
  const target = method && written === 0 ? 'this' : `p${written}`;
  const result =
    written < 0 ? `return wrap(${call} as number);` : `return written(${target}, ${call});`;
  return tests.length === 0 ? result : `if (${tests.join(' && ')}) ${result}`;
}

function test(name, { kind, list, optionalElements }) {
  if (list) {
    if (kind === 'int') return `(Array.isArray(${name}) || Number.isInteger(${name}))`;
    return kind === 'Tensor' && !optionalElements ? `areTensors(${name})` : null;
  }
  if (kind === 'Tensor') return `${name} instanceof Tensor`;
  if (kind === 'int') return `Number.isInteger(${name})`;
  if (kind === 'float' || kind === 'Scalar') return `typeof ${name} === 'number'`;
  if (kind === 'bool') return `typeof ${name} === 'boolean'`;
  return null;
}

/** Types that need a conversion: given, they take the slow path; their absence does not. */
function leftOut({ kind }) {
  return kind === 'ScalarType' || kind === 'MemoryFormat';
}

function value(name, type, hasDefault) {
  const { kind, list } = type;
  if (leftOut(type)) return 'undefined';
  if (kind !== 'Tensor') return name;
  if (list) return `${name}.map(handle)`;
  return hasDefault ? `${name}?.handle` : `${name}.handle`;
}
