import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { torch } from 'm3l';

export const folder = resolve(import.meta.dirname, '../../fixtures/torch-files');
export const fixture = (name: string) => join(folder, name);

const all = JSON.parse(readFileSync(fixture('expected.json'), 'utf8')) as Record<string, unknown>;

/** What scripts/golden/torch_files.py says that a file holds. */
export function expected(name: string): unknown {
  const value = all[name] as { as?: string };
  return typeof value.as === 'string' ? all[value.as] : value;
}

export const names = (suffix: string) => Object.keys(all).filter((name) => name.endsWith(suffix));

/** A value as that script describes it. */
export function describeValue(value: unknown): unknown {
  if (value instanceof torch.Tensor) return { tensor: describeTensor(value) };
  if (typeof value === 'bigint') return { bigint: String(value) };
  if (value instanceof Uint8Array) return { bytes: [...value] };
  if (value instanceof Set) return { set: [...value].sort() };
  if (value instanceof Map) {
    return { map: [...value].map(([key, item]) => [key, describeValue(item)]) };
  }
  if (Array.isArray(value)) return value.map(describeValue);
  if (typeof value !== 'object' || value === null) return value;
  if ('native' in value) return { complex: value.native };
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, describeValue(item)]));
}

function describeTensor(tensor: torch.Tensor): object {
  const { dtype, shape, requiresGrad } = tensor;
  const facts = { dtype, shape, requiresGrad };
  if (tensor.device === 'meta') return { ...facts, meta: true };
  if (tensor.sparseDim() > 0) return { ...facts, bits: bitsOf(tensor.toDense()) };
  const strides = tensor.numel() === 0 ? [] : shape.map((_, dim) => tensor.stride(dim));
  return { ...facts, strides, bits: bitsOf(tensor) };
}

function bitsOf(tensor: torch.Tensor): number[] {
  const values = torch.scope(() => tensor.detach().toTypedArray());
  return [...new Uint8Array(values.buffer, values.byteOffset, values.byteLength)];
}
