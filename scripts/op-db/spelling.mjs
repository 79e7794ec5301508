/** How JavaScript spells a call of Python's. */
import { nn, torch } from '../../dist/index.js';

/** `x + y` with a number or tensor on the left is the function with the arguments turned. */
const REFLECTED = {
  __radd__: 'add',
  __rsub__: 'sub',
  __rmul__: 'mul',
  __rdiv__: 'div',
  __rpow__: 'pow',
  __rmod__: 'remainder',
  __rmatmul__: 'matmul',
  __rand__: 'bitwiseAnd',
  __ror__: 'bitwiseOr',
  __rxor__: 'bitwiseXor',
};

export function camelCase(name) {
  return name.replace(/(?<=[^_])_+([^_])/g, (_, next) => next.toUpperCase());
}

/** The forms in which a call may be made, best first: each a name and a function without arguments. */
export function spellings({ call, parameters }, args, named) {
  const options = Object.fromEntries(
    Object.entries(named).map(([key, value]) => [camelCase(key), value]),
  );
  const path = call.split('.');
  const last = path.at(-1);
  if (path[0] === 'Tensor') return [method(last, args, options)].filter(Boolean);
  const [first, ...rest] = path.slice(1);
  if (first === 'ops') {
    const target = rest.reduce((value, key) => value[key], torch.ops);
    return [form(call, target, undefined, args, options)];
  }
  if (call.startsWith('torch.nn.functional.')) {
    return functionals(camelCase(last), (parameters ?? []).map(camelCase), args, options);
  }
  const names = path.slice(1).map(camelCase);
  const target = names.reduce((value, key) => value?.[key], torch);
  const found =
    target === undefined && names.length === 1
      ? method(last, args, options)
      : form(`torch.${names.join('.')}`, target, undefined, args, options);
  return [found].filter(Boolean);
}

function form(name, target, self, args, options) {
  if (typeof target !== 'function') return null;
  const all = Object.keys(options).length > 0 ? [...args, options] : args;
  return { name, run: () => target.apply(self, all), text: () => `${name}(${all.map(source)})` };
}

/** A value as TypeScript's source: tensors are `x`. */
function source(value) {
  if (value instanceof torch.Tensor) return 'x';
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'number') return Object.is(value, -0) ? '-0' : String(value);
  if (Array.isArray(value)) return `[${value.map(source)}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value) ?? 'undefined';
  if (Array.isArray(value.native)) return `torch.scalar(${value.native.map(source)})`;
  return `{ ${Object.entries(value).map(([key, item]) => `${key}: ${source(item)}`)} }`;
}

/**
 * The layers as functions: what returns its indices if asked to is a function of its own here, as it is
 * beside it in Python; leading arguments come by position, the others by the names of Python's signature.
 */
function functionals(name, parameters, args, options) {
  const place = parameters.indexOf('returnIndices');
  const { returnIndices = args[place], ...named } = options;
  const given = place < 0 ? args : args.filter((_, i) => i !== place);
  const key = `${name}${returnIndices ? 'WithIndices' : ''}`;
  const order = parameters.filter((parameter) => parameter !== 'returnIndices');
  const forms = [form(`nn.functional.${key}`, nn.functional?.[key], undefined, given, named)];
  const all = { ...Object.fromEntries(given.map((value, i) => [order[i] ?? i, value])), ...named };
  for (let count = order.findLastIndex((parameter) => (parameter in all)) + 1; count > 0; count--) {
    const leading = order.slice(0, count);
    const rest = Object.entries(all).filter(([parameter]) => !leading.includes(parameter));
    const values = leading.map((parameter) => all[parameter]);
    const by = Object.fromEntries(rest);
    forms.push(form(`nn.functional.${key}`, nn.functional?.[key], undefined, values, by));
  }
  const operator = form(`torch.${key}`, torch[key], undefined, given, named);
  // Where that is not what the layer does, the layer is missing: nothing is wrong.
  return [...forms, operator && { ...operator, other: true }].filter(Boolean);
}

function method(name, [self, ...args], options) {
  if (name === '__getitem__') {
    return form('x.at', self.at, self, args[0], {});
  }
  if (name in REFLECTED) {
    const key = REFLECTED[name];
    return form(`torch.${key}`, torch[key], undefined, [args[0], self], {});
  }
  const key = camelCase(name);
  const value = self[key];
  if (value === undefined) return null;
  if (typeof value !== 'function')
    return { name: `x.${key}`, run: () => value, text: () => `x.${key}` };
  return form(`x.${key}`, value, self, args, options);
}
