/**
 * Calls of every generated function in many forms, each with whether the argument rules take it at run time:
 * what TypeScript must compile, and what it must refuse. The operators themselves are not run.
 *
 *   node scripts/generate/call-forms.mjs [EVERY]      writes [{ "call": "torch.abs(x)", "runs": true }, …]
 */
import { torch } from '../../dist/index.js';
import { core, loadCore } from '../../dist/torch/native.js';
import { familiesOf } from './families.mjs';
import { wordsType } from './words.mjs';

const x = torch.ones(1);
const g = new torch.Generator();

/** One of each type, as it is written. */
const values = {
  Tensor: 'x',
  int: '1',
  float: '0.5',
  bool: 'true',
  str: "'any'",
  Scalar: '2',
  ScalarType: "'float32'",
  Layout: "'strided'",
  MemoryFormat: "'contiguous'",
  Device: "'cpu'",
  Generator: 'g',
};

function textOf(schema, parameter) {
  const { kind, list } = parameter.type;
  const words = kind === 'str' ? wordsType(schema.name, parameter) : null;
  const one = words === null ? values[kind] : words.split(' | ')[0];
  return list ? `[${one}]` : one;
}

/** Arguments in the forms of one schema, and with the faults that one makes. */
function forms(schema, _, overloads) {
  const positional = schema.parameters.filter(({ keywordOnly }) => !keywordOnly);
  const byName = schema.parameters.filter(({ keywordOnly }) => keywordOnly);
  const needed = positional.findLastIndex(({ hasDefault }) => !hasDefault) + 1;
  const texts = positional.map((parameter) => textOf(schema, parameter));
  const object = (parameters, ...more) =>
    `{ ${[...parameters.map((p) => `${p.key}: ${textOf(schema, p)}`), ...more].join(', ')} }`;
  const mustBeNamed = byName.filter(({ hasDefault }) => !hasDefault);
  const last = mustBeNamed.length === 0 ? [] : [object(mustBeNamed)];
  const all = [];
  for (let count = needed; count <= texts.length; count++) {
    const rest = [...positional.slice(count), ...byName];
    all.push([...texts.slice(0, count), ...last]);
    if (rest.length > 0) all.push([...texts.slice(0, count), object(rest)]);
    all.push([...texts.slice(0, count), object(rest, 'nonsense: 1')]);
    if (positional[count - 1]?.hasDefault)
      all.push([...texts.slice(0, count), object([positional[count - 1], ...mustBeNamed])]);
    if (rest.length > 1)
      all.push([...texts.slice(0, count), object(rest.slice(0, 1)), object(rest.slice(1))]);
  }
  if (needed > 1) {
    all.push([texts[0], object([...positional.slice(1), ...byName])]);
    all.push([...texts.slice(0, needed - 1), ...last]);
  }
  all.push([...texts, 'x', ...last], [...texts, ...last, '{}', '{}']);
  texts.forEach((_text, i) => {
    // Which words there are is the operator's own affair, where its schema takes any string.
    const anyWord = overloads.some(({ parameters }) => parameters[i]?.type.kind === 'str');
    for (const wrong of [...(anyWord ? [] : ["'wrong'"]), '/./', 'null', 'x', '1']) {
      all.push([...texts.slice(0, i), wrong, ...texts.slice(i + 1), ...last]);
    }
  });
  return all;
}

/** Whether the argument rules take the call: what they take would reach the core. */
function runs(call) {
  const { call: original } = core;
  core.call = () => {
    throw taken;
  };
  try {
    new Function('torch', 'x', 'g', `return ${call}`)(torch, x, g);
  } catch (error) {
    if (error === taken) return true;
    if (error.code === 'M3L_ARGUMENT') return false;
    throw error;
  } finally {
    core.call = original;
  }
  throw new Error(`${call} reached no operator`);
}

const taken = new Error('taken');

/** @param {number} every keeps each so many-th */
export function callForms(every) {
  const { families } = familiesOf(loadCore().operators());
  const calls = families.flatMap(({ key, namespace, schemas, methods }) => {
    const name = namespace === null ? `torch.${key}` : `torch.${namespace}.${key}`;
    // A method may find an overload whose first tensor is no `self`, which its type does not name.
    const all = methods.length === schemas.length ? methods.flatMap(forms) : [];
    return [
      ...schemas.flatMap(forms).map((args) => `${name}(${args.join(', ')})`),
      ...all.map(([, ...args]) => `x.${key}(${args.join(', ')})`),
    ];
  });
  return [...new Set(calls)]
    .filter((_, i) => i % every === 0)
    .map((call) => ({ call, runs: runs(call) }));
}

if (process.argv[1]?.endsWith('call-forms.mjs')) {
  console.log(JSON.stringify(callForms(Number(process.argv[2] ?? 1))));
}
