/** How modules are printed: each as the call that makes it, its children indented below. */
import { inspect } from 'node:util';
import { Tensor } from '../torch/index.js';

/** The arguments of a constructor: values, then what of the options is not as it is by default. */
export function signature(
  values: readonly unknown[],
  options: object = {},
  defaults: object = {},
): string {
  const usual = defaults as Record<string, unknown>;
  const unusual = Object.entries(options).filter(
    ([key, value]) => !(Object.hasOwn(usual, key) && Object.is(usual[key], value)),
  );
  const last = unusual.map(([key, value]) => `${key}: ${shown(value)}`).join(', ');
  return [...values.map(shown), ...(last ? [`{ ${last} }`] : [])].join(', ');
}

function shown(value: unknown): string {
  if (value instanceof Tensor) return `Tensor [${value.shape}]`;
  if (Array.isArray(value)) return `[${value.map(shown).join(', ')}]`;
  return typeof value === 'function' ? value.name || 'function' : inspect(value);
}

/**
 * `name(details)`, or with children the tree of them. Like neighbours in a list are one line:
 * `(0-2): 3 × Linear(4, 4)`.
 */
export function tree(
  name: string,
  details: string,
  children: readonly (readonly [name: string, printed: string])[],
): string {
  if (children.length === 0) return `${name}(${details})`;
  const lines = [name + (details ? `(${details}) (` : '(')];
  for (let from = 0; from < children.length; ) {
    const [label, printed] = children[from]!;
    let to = from + 1;
    while (/^\d+$/.test(label) && children[to]?.[1] === printed) to++;
    const count = to - from;
    const text = printed.replaceAll('\n', '\n  ');
    const last = children[to - 1]![0];
    lines.push(count > 1 ? `  (${label}-${last}): ${count} × ${text}` : `  (${label}): ${text}`);
    from = to;
  }
  return [...lines, ')'].join('\n');
}
