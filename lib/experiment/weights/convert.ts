import { existsSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { backbones, toHuggingFace } from '../../models/index.js';
import type { StateDict } from '../../nn/index.js';
import { makeFolder, writeFolderAtomic } from '../../torch/atomic-write.js';
import { checkArguments } from '../../torch/check-arguments.js';
import * as torch from '../../torch/index.js';
import * as is from '../../torch/rules.js';
import { CheckpointError } from '../errors.js';
import { type InspectedWeights, inspected } from './inspect.js';
import { readWeights } from './read.js';
import { formatOf } from './registry.js';

/** What weights are written as. */
export const WEIGHTS_TARGETS = ['m3l', 'hugging-face'] as const;
/** A form that weights are written in. */
export type WeightsTarget = (typeof WEIGHTS_TARGETS)[number];

/** What `convertWeights` takes by name. */
export interface ConvertWeightsOptions {
  /** `m3l` by default. */
  to?: WeightsTarget | undefined;
  /** Of a file that holds several networks; its teacher, else its first, by default. */
  network?: string | undefined;
  /** For m3l: how many norms each norm becomes, where the file has one for all. */
  modalities?: number | undefined;
  /** For Hugging Face: whose norms are taken; the first's by default. */
  modality?: number | undefined;
  /** Half precision. */
  half?: boolean | undefined;
}

/** What was written; plain JSON. */
export interface ConvertedWeights {
  from: Omit<InspectedWeights, 'shapes'>;
  out: string;
  tensors: number;
  parameters: number;
}

/**
 * Writes weights of any known origin as safetensors by our names, or as a folder that Hugging Face's
 * `SegformerForSemanticSegmentation.from_pretrained` reads.
 *
 * @throws CheckpointError M3L_PRETRAINED; ModelError M3L_MODEL_CHECKPOINT; M3lError M3L_WRITE_FAILED
 */
export function convertWeights(
  file: string,
  out: string,
  options: ConvertWeightsOptions = {},
): ConvertedWeights {
  checkArguments(
    'convertWeights',
    { file, out, options },
    { file: is.text, out: is.text, options: is.record },
  );

  const { to = 'm3l', network, modalities = 1, modality = 0, half = false } = options;
  return torch.scope(() => {
    const read = readWeights(file);
    const { shapes: _, ...from } = inspected(read);
    const kinds = Array<string>(modalities).fill('rgb');
    const ours = formatOf(read).convert(read, { kinds, network });
    const named = to === 'm3l' ? ours : toHuggingFace(ours, { modality });
    const state = Object.fromEntries(
      Object.entries(named).map(([name, tensor]) => [
        name,
        // Views of what is merged in the file would be written twice.
        half && tensor.dtype === 'float32' ? tensor.to('float16') : tensor.contiguous(),
      ]),
    );
    makeFolder(dirname(resolve(out)));
    if (to === 'm3l') torch.saveSafetensors(out, state);
    else writeHuggingFace(out, state, from);
    const all = Object.values(state);
    const parameters = all.reduce((sum, tensor) => sum + tensor.numel(), 0);
    return { from, out, tensors: all.length, parameters };
  });
}

function writeHuggingFace(
  folder: string,
  state: StateDict,
  { backbone, classes }: Pick<InspectedWeights, 'backbone' | 'classes'>,
): void {
  if (backbone === null) {
    throw new CheckpointError(
      'M3L_PRETRAINED',
      `found no MiT encoder, expected one: Hugging Face's SegFormer has no other.`,
    );
  }
  if (existsSync(folder) && !existsSync(join(folder, 'model.safetensors'))) {
    throw new CheckpointError(
      'M3L_EXPORT_FOLDER',
      `${folder} is there and holds no model.safetensors; expected a new folder, or one to replace.`,
    );
  }
  const { channels, depths } = backbones[backbone as keyof typeof backbones];
  const width = state['decode_head.classifier.weight']?.shape[1];
  const config = {
    architectures: [width === undefined ? 'SegformerModel' : 'SegformerForSemanticSegmentation'],
    model_type: 'segformer',
    hidden_sizes: channels,
    depths,
    num_attention_heads: [1, 2, 5, 8],
    sr_ratios: [8, 4, 2, 1],
    mlp_ratios: [4, 4, 4, 4],
    ...(width === undefined ? {} : { decoder_hidden_size: width }),
    ...(classes === null
      ? {}
      : { id2label: Object.fromEntries(Array.from({ length: classes }, (_, i) => [i, `${i}`])) }),
  };
  writeFolderAtomic(resolve(folder), (temporary) => {
    torch.saveSafetensors(join(temporary, 'model.safetensors'), state, { format: 'pt' });
    writeFileSync(join(temporary, 'config.json'), `${JSON.stringify(config, null, 2)}\n`);
  });
}
