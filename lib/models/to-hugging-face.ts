import type * as nn from '../nn/index.js';
import { checkArguments } from '../torch/check-arguments.js';
import type { Tensor } from '../torch/index.js';
import * as is from '../torch/rules.js';
import { ModelError } from './segmentation-model.js';

/** Our names to Hugging Face's, first match; stages are counted from 1 here and from 0 there. */
const NAMES: [RegExp, (...groups: string[]) => string][] = [
  [
    /^encoder\.patch_embed(\d)\.proj\.(.*)/,
    (i, rest) => `${stage('patch_embeddings', i)}.proj.${rest}`,
  ],
  [
    /^encoder\.patch_embed(\d)\.norm\.(.*)/,
    (i, rest) => `${stage('patch_embeddings', i)}.layer_norm.${rest}`,
  ],
  [/^encoder\.norm(\d)\.(.*)/, (i, rest) => `${stage('layer_norm', i)}.${rest}`],
  [
    /^encoder\.block(\d)\.(\d+)\.(.*)/,
    (i, j, rest) => `${stage('block', i)}.${j}.${blockName(rest!)}`,
  ],
  [/^decoder\.linear_c(\d)\.(.*)/, (i, rest) => `decode_head.linear_c.${+i! - 1}.${rest}`],
  [/^decoder\.linear_fuse\.conv\.(.*)/, (rest) => `decode_head.linear_fuse.${rest}`],
  [/^decoder\.linear_fuse\.bn\.(.*)/, (rest) => `decode_head.batch_norm.${rest}`],
  [/^decoder\.linear_pred\.(.*)/, (rest) => `decode_head.classifier.${rest}`],
];

const stage = (name: string, number: string | undefined) =>
  `segformer.encoder.${name}.${Number(number) - 1}`;

function blockName(name: string): string {
  return name
    .replace(/^norm(\d)/, 'layer_norm_$1')
    .replace(/^attn\.q\./, 'attention.self.query.')
    .replace(/^attn\.(key|value)\./, 'attention.self.$1.')
    .replace(/^attn\.sr\./, 'attention.self.sr.')
    .replace(/^attn\.norm\./, 'attention.self.layer_norm.')
    .replace(/^attn\.proj\./, 'attention.output.dense.')
    .replace(/^mlp\.fc(\d)/, 'mlp.dense$1');
}

/**
 * A MiT encoder, with or without SegFormer's head, by Hugging Face's names: of several modalities the norms
 * of one. Keys and values come apart as views. What Hugging Face's SegFormer has not (mask tokens, α) is
 * left out.
 *
 * @param modality whose norms
 * @throws {ModelError} `M3L_MODEL_CHECKPOINT` for a tensor that such a checkpoint has no name for, or where
 *   the modality has no norms
 */
export function toHuggingFace(
  state: nn.StateDict,
  options: { modality?: number } = {},
): nn.StateDict {
  checkArguments(
    'toHuggingFace',
    { state, options },
    { state: is.recordOf(is.tensor), options: is.record },
  );
  const { modality = 0 } = options;
  const found: nn.StateDict = {};
  for (const [name, tensor] of Object.entries(state)) {
    if (/(^|\.)(mask_token|alpha|head_shares)$/.test(name)) continue;
    const norm = /\.ln_(\d+)\./.exec(name);
    if (norm !== null && Number(norm[1]) !== modality) continue;
    const shared = name.replace(/\.ln_\d+\./, '.').replace('.module.', '.');
    for (const [key, value] of parts(shared, tensor)) found[theirName(key)] = value;
  }
  if (!Object.keys(found).some((name) => name.includes('.layer_norm'))) {
    throw new ModelError('M3L_MODEL_CHECKPOINT', `There are no norms of modality ${modality}.`);
  }
  return found;
}

function parts(name: string, tensor: Tensor): [string, Tensor][] {
  if (!name.includes('.attn.kv.')) return [[name, tensor]];
  const half = tensor.shape[0]! / 2;
  return [
    [name.replace('.kv.', '.key.'), tensor.narrow(0, 0, half)],
    [name.replace('.kv.', '.value.'), tensor.narrow(0, half, half)],
  ];
}

function theirName(name: string): string {
  for (const [pattern, rename] of NAMES) {
    const match = pattern.exec(name);
    if (match) return rename(...match.slice(1));
  }
  throw new ModelError(
    'M3L_MODEL_CHECKPOINT',
    `'${name}' has no name in Hugging Face's SegFormer: it is of another model.`,
  );
}
