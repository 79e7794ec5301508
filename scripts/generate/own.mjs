/** lib/torch/generated/m3l.ts: the types of the project's own operators, `torch.ops.m3l`. */
import { parseSchema } from '../../dist/torch/schema.js';
import { signatures } from './types.mjs';

const sentences = {
  adamw_ema_:
    "A step of AdamW, which writes the lists, and with `teachers` their moving average's.",
  attention: 'Scaled dot-product attention, with `keyBias` added to the scores.',
  confusion_matrix:
    'Counts of labels against predictions, [classes, classes], without `ignoreIndex`.',
  confusion_matrix_add_:
    'Adds labels against predictions to `counts`; `outOfRange` says whether one was.',
  ema_update_: 'Exponential moving average of the students in the teachers, which are written.',
  fuse_residual_norm:
    "The modalities' residual streams after linear fusion, and the LayerNorm of each.",
  linear: 'x Wᵀ + b, by the faster of the two matrix products that libtorch brings.',
  linear_fuse: 'Linear fusion of the tokens of modalities that follow one another in the batch.',
  mask_tokens: '`tokens` with `token` where `mask` is true.',
  mix_ffn: 'Feed-forward of a Mix Transformer, which keeps little for its backward.',
  modality_norm: 'A LayerNorm for each modality.',
  token_dwconv_gelu: 'Depthwise 3 × 3 convolution of tokens on a grid, then `gelu`.',
  upsample_argmax:
    'Classes of logits after bilinear resizing to `size`, without storing what is resized.',
  upsample_ohem_cross_entropy:
    'Cross entropy of the hardest pixels of logits after bilinear resizing.',
  upsample_sum: 'The sum of `base` and of maps after bilinear resizing to its grid.',
};

/** @param {string[]} texts of all schemas */
export function ownOperatorsFile(texts, banner) {
  const schemas = texts
    .filter((text) => text.startsWith('m3l::'))
    .map(parseSchema)
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const members = schemas.map((schema) => {
    const forms = signatures(schema, false);
    const later = forms.map((form) => form.replace(/\): (?!.*\): )(.*)$/, '): Promise<$1>'));
    return (
      `  /** ${sentences[schema.name] ?? `\`${schema.text}\``} */\n` +
      `  readonly ${schema.name}: { ${forms.join('; ')}; readonly async: { ${later.join('; ')} } };\n`
    );
  });
  return (
    `${banner}import type { NumberList } from '../scalar.js';\nimport type { Tensor } from '../tensor.js';\n\n` +
    `/** The project's own operators, by the names in their schemas. */\n` +
    `export interface OwnOperators {\n${members.join('')}}\n`
  );
}
