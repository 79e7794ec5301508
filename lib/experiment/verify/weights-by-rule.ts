import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { Tensor } from '../../torch/index.js';
import * as torch from '../../torch/index.js';
import type { GoldenFile } from './golden-file.js';

const number = z.number();
const which = { match: z.string(), dims: z.int().optional() };

/** How the values of the entries whose name (and number of dimensions) fits come from v in [0, 1). */
const range = z.union([
  z.strictObject({ ...which, gain: number }),
  z.strictObject({ ...which, p: number, small: z.tuple([number, number]), lo: number, hi: number }),
  z.strictObject({ ...which, lo: number, hi: number }),
]);

const facts = z.object({
  weights_rule: z.object({ salt: z.string(), ranges: z.array(range).min(1) }).optional(),
  state_shapes: z.record(z.string(), z.array(z.int().positive())).optional(),
  state_sha256: z.string().optional(),
});

/**
 * The state that a file gives by rule instead of tensors (golden/README.md, "Weights by rule"); null
 * where it gives none.
 * @throws VerifyError M3L_VERIFY_FILE where it is not the state that the file was computed with
 */
export function stateByRule(file: GoldenFile): Record<string, Tensor> | null {
  const { weights_rule: rule, state_shapes: shapes, state_sha256: expected } = file.facts(facts);
  if (rule === undefined) return null;
  if (shapes === undefined || expected === undefined) {
    throw file.malformed("'weights_rule' without 'state_shapes' and 'state_sha256'");
  }
  const hash = createHash('sha256');
  const state: Record<string, Tensor> = {};
  for (const name of Object.keys(shapes).sort()) {
    const shape = shapes[name]!;
    const matched = rule.ranges.find(
      ({ match, dims }) => new RegExp(match).test(name) && (dims ?? shape.length) === shape.length,
    );
    if (matched === undefined) throw file.malformed(`no range of 'weights_rule' fits '${name}'`);
    const values = valuesOf(`${rule.salt}/${name}`, shape, matched);
    hash.update(new Uint8Array(values.buffer));
    state[name] = torch.tensor(values, { shape });
  }
  const found = hash.digest('hex');
  if (found === expected) return state;
  throw file.malformed(`the weights by rule have SHA-256 ${found}, the file says ${expected}`);
}

/** Element i: Murmur's finaliser of FNV-1a(name) + (i + 1) · 0x9E3779B9, brought to the range. */
function valuesOf(
  name: string,
  shape: readonly number[],
  within: z.output<typeof range>,
): Float32Array {
  let h = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(name)) h = Math.imul(h ^ byte, 0x01000193);
  const values = new Float32Array(shape.reduce((product, side) => product * side, 1));
  const spread = spreadOf(shape, within);
  for (let i = 0; i < values.length; i++) {
    let x = (h + Math.imul(i + 1, 0x9e3779b9)) | 0;
    x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
    x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
    x = (x ^ (x >>> 16)) >>> 0;
    values[i] = spread(x / 2 ** 32);
  }
  return values;
}

/** The operations in just the order of the README: the last digit depends on it. */
function spreadOf(shape: readonly number[], within: z.output<typeof range>): (v: number) => number {
  if ('gain' in within) {
    const fan = shape.slice(1).reduce((product, side) => product * side, 1);
    const bound = Math.sqrt((3 * within.gain) / fan);
    return (v) => -bound + (bound - -bound) * v;
  }
  if ('p' in within) {
    const { p, small, lo, hi } = within;
    const [a, c] = small;
    return (v) => (v < p ? a + (c - a) * (v / p) : lo + (hi - lo) * ((v - p) / (1 - p)));
  }
  const { lo, hi } = within;
  return (v) => lo + (hi - lo) * v;
}
