import { statSync } from 'node:fs';
import { type Backbone, backbones } from '../../models/index.js';
import type { StateDict } from '../../nn/index.js';
import { checkArguments } from '../../torch/check-arguments.js';
import * as torch from '../../torch/index.js';
import * as is from '../../torch/rules.js';
import { readWeights, type WeightsFile } from './read.js';
import { formatOf } from './registry.js';

/** What a file of weights holds; plain JSON. */
export interface InspectedWeights {
  file: string;
  container: 'safetensors' | 'pth';
  /** Name of the format, as `m3l weights` knows it, and what it is. */
  format: string;
  title: string;
  bytes: number;
  tensors: number;
  /** Elements of all tensors. */
  parameters: number;
  dtypes: Record<string, number>;
  networks: string[];
  /** By the widths and depths; null where there is none of that shape. */
  backbone: string | null;
  modalities: number | null;
  classes: number | null;
  metadata: Record<string, string>;
  /** Each tensor as the file names it. */
  shapes: Record<string, { dtype: string; shape: number[] }>;
}

/**
 * Says of whose weights a file is and what they fit.
 * @throws CheckpointError M3L_PRETRAINED; errors of `torch.load`
 */
export function inspectWeights(file: string): InspectedWeights {
  checkArguments('inspectWeights', { file }, { file: is.text });

  return torch.scope(() => inspected(readWeights(file)));
}

/** As `inspectWeights`, of what was read. */
export function inspected(read: WeightsFile): InspectedWeights {
  const format = formatOf(read);
  const networks = format.networks?.(read) ?? [];
  const ours = format.convert(read, { kinds: ['rgb'] });
  const all = Object.entries(read.tensors);
  const dtypes: Record<string, number> = {};
  for (const [, { dtype }] of all) dtypes[dtype] = (dtypes[dtype] ?? 0) + 1;
  return {
    file: read.path,
    container: read.container,
    format: format.name,
    title: format.title,
    bytes: statSync(read.path).size,
    tensors: all.length,
    parameters: all.reduce((sum, [, tensor]) => sum + tensor.numel(), 0),
    dtypes,
    networks,
    backbone: backboneOf(ours),
    modalities: format.name.startsWith('m3l') ? modalitiesOf(read.tensors) : 1,
    classes: ours['decoder.linear_pred.weight']?.shape[0] ?? null,
    metadata: read.metadata,
    shapes: Object.fromEntries(
      all.map(([name, { dtype, shape }]) => [name, { dtype, shape: [...shape] }]),
    ),
  };
}

function backboneOf(ours: StateDict): Backbone | null {
  const names = Object.keys(ours);
  const depth = (stage: number) =>
    new Set(
      names.flatMap((name) => name.match(`^encoder\\d?\\.block${stage}\\.(\\d+)\\.`)?.[1] ?? []),
    ).size;
  const width = names.find((name) => /^encoder\d?\.patch_embed1\.proj\.module\.weight$/.test(name));
  if (width === undefined) return null;
  const found = Object.entries(backbones).find(
    ([, { channels, depths }]) =>
      channels[0] === ours[width]!.shape[0] && depths.every((each, i) => each === depth(i + 1)),
  );
  return (found?.[0] as Backbone | undefined) ?? null;
}

function modalitiesOf(tensors: StateDict): number | null {
  const indices = Object.keys(tensors).flatMap((name) => /\.ln_(\d+)\./.exec(name)?.[1] ?? []);
  return indices.length === 0 ? null : Math.max(...indices.map(Number)) + 1;
}
