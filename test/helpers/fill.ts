import { torch } from 'm3l';

/**
 * Uniform values from a hash (FNV-1a, then Murmur's finaliser) of the name and the position: the
 * twin of `fill` in scripts/golden/segformer.py, equal to the last bit.
 */
export function fill(
  name: string,
  shape: readonly number[],
  low: number,
  high: number,
): torch.Tensor {
  let seed = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(name)) seed = Math.imul(seed ^ byte, 0x01000193);
  const values = new Float32Array(shape.reduce((product, side) => product * side, 1));
  for (let i = 0; i < values.length; i++) {
    let x = (i + seed) | 0;
    x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
    x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
    x = (x ^ (x >>> 16)) >>> 0;
    values[i] = low + (high - low) * (x / 2 ** 32);
  }
  return torch.tensor(values, { shape: [...shape] });
}
