import type { Converter, Converters } from '../graph.js';
import { elementwise } from './elementwise.js';
import { fused } from './fused.js';
import { layers } from './layers.js';
import { reductions } from './reductions.js';
import { shapes } from './shapes.js';

const named = (namespace: string, converters: Converters) =>
  Object.entries(converters).map(([name, converter]) => [`${namespace}::${name}`, converter]);

/** The form of every operator that can be written, by its name in a trace. */
const REGISTRY: ReadonlyMap<string, Converter> = new Map([
  ...[elementwise, shapes, reductions, layers].flatMap((each) => named('aten', each)),
  ...named('m3l', fused),
] as [string, Converter][]);

export function converterOf(operator: string): Converter | undefined {
  return REGISTRY.get(operator);
}

/** Names of the operators that can be written, `aten::add.Tensor`, sorted. */
export function onnxOperators(): string[] {
  return [...REGISTRY.keys()].sort();
}
