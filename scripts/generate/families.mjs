import {
  camelCase,
  compareOverloads,
  isOutVariant,
  isSelf,
  parseSchema,
  unsupportedType,
} from '../../dist/torch/schema.js';
import { byHand, hidden, namespaces, underscored } from './selection.mjs';

/**
 * The operators to write, by name, each with its namespace (`linalg_svd` is `svd` of `linalg`) and its overloads in the order in which they are tried; what
 * was left out, with the reason; and how many public names and overloads there are.
 */
export function familiesOf(texts) {
  const schemas = texts.map((text) => parseSchema(text) ?? { text, foreign: true });
  const byName = new Map();
  const skipped = [];
  const publicNames = new Set();
  let overloads = 0;
  for (const schema of schemas) {
    const name = schema.foreign ? /^aten::(\w+)/.exec(schema.text)?.[1] : schema.name;
    const isAten = schema.text.startsWith('aten::');
    if (!isAten || (name.startsWith('_') && !underscored.includes(name))) continue;
    if (!name.startsWith('_')) publicNames.add(name);
    overloads += 1;
    const reason = reasonToSkip(schema, name);
    if (reason !== null) {
      skipped.push({ name, overload: schema.overload ?? '', reason });
      continue;
    }
    if (!byName.has(name)) byName.set(name, []);
    byName.get(name).push(schema);
  }
  const families = [...byName]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, list]) => {
      list.sort(compareOverloads);
      const namespace = namespaces.find((prefix) => name.startsWith(`${prefix}_`)) ?? null;
      const short = namespace === null ? name : name.slice(namespace.length + 1);
      const methods =
        namespace === null ? list.filter(({ parameters: [first] }) => isSelf(first)) : [];
      const method = methods.length > 0;
      return { name, namespace, key: camelCase(short), schemas: list, method, methods };
    });
  return { families, skipped, counts: { publicNames, overloads } };
}

function reasonToSkip(schema, name) {
  if (schema.foreign) return 'a schema without a JavaScript form';
  if (isOutVariant(schema)) return 'writes into given tensors (`out=`): by `torch.ops`';
  if (byHand.has(name)) return `written by hand: \`${byHand.get(name)}\``;
  const hiddenFor = hidden.get(`${name}.${schema.overload ?? ''}`);
  if (hiddenFor !== undefined) return hiddenFor;
  if (schema.text.includes('Dimname')) return 'named dimensions';
  const unsupported = unsupportedType(schema);
  return unsupported === null ? null : `type \`${unsupported}\``;
}
