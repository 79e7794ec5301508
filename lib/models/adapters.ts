import type * as nn from '../nn/index.js';
import { checkArguments } from '../torch/check-arguments.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import * as is from '../torch/rules.js';
import { ModelError } from './segmentation-model.js';

/**
 * Foreign checkpoints by our names (those of the authors of M3L). Each function takes tensors by
 * name and returns tensors by name, sharing memory where nothing is merged; `loadPretrained` then
 * puts them into a model. What a format has and we have not (`head.*` of ImageNet, counters of
 * BatchNorm) is left out.
 */
export interface AdapterOptions {
  /** M: every LayerNorm is copied to that of each modality. 1 by default. */
  modalities?: number;
}

/** The authors' own checkpoints: `student.` and `teacher.` before mean-teacher models. */
export function fromAuthors(
  state: nn.StateDict,
  options: { network?: 'student' | 'teacher' } = {},
): nn.StateDict {
  checkArguments(
    'fromAuthors',
    { state, options },
    { state: is.recordOf(is.tensor), options: is.record },
  );

  const prefix = `${options.network ?? 'teacher'}.`;
  const names = Object.keys(state);
  const twofold = names.some((name) => name.startsWith(prefix));
  const found: nn.StateDict = {};
  for (const name of names) {
    if (isCounter(name) || (twofold && !name.startsWith(prefix))) continue;
    found[twofold ? name.slice(prefix.length) : name] = state[name]!;
  }
  return found;
}

/** NVIDIA's MiT (ImageNet) and SegFormer (`backbone.`, `decode_head.`) checkpoints. */
export function fromNvidia(state: nn.StateDict, options: AdapterOptions = {}): nn.StateDict {
  checkArguments(
    'fromNvidia',
    { state, options },
    { state: is.recordOf(is.tensor), options: is.record },
  );

  const found: nn.StateDict = {};
  for (const [name, tensor] of Object.entries(state)) {
    if (isCounter(name) || /^head\.|^decode_head\.conv_seg\./.test(name)) continue;
    const ours = name.startsWith('decode_head.')
      ? [name.replace('decode_head', 'decoder')]
      : encoderNames(name.replace(/^(backbone|encoder)\./, ''), options.modalities ?? 1);
    for (const each of ours) found[each] = tensor;
  }
  return found;
}

/** Names of one shared module or norm of NVIDIA's encoder, among ours. */
function encoderNames(name: string, modalities: number): string[] {
  const norm = /^(.*norm\d?)\.(weight|bias)$/.exec(name);
  if (norm) {
    return Array.from({ length: modalities }, (_, m) => `encoder.${norm[1]}.ln_${m}.${norm[2]}`);
  }
  return [`encoder.${name.replace(/\.(proj|q|kv|sr|fc1|fc2)\.(weight|bias)$/, '.$1.module.$2')}`];
}

/** Hugging Face to NVIDIA, first match; stages are counted from 0 there and from 1 here. */
const huggingFace: [RegExp, (...groups: string[]) => string][] = [
  [/^patch_embeddings\.(\d)\.proj\.(.*)/, (i, rest) => `patch_embed${+i! + 1}.proj.${rest}`],
  [/^patch_embeddings\.(\d)\.layer_norm\.(.*)/, (i, rest) => `patch_embed${+i! + 1}.norm.${rest}`],
  [/^layer_norm\.(\d)\.(.*)/, (i, rest) => `norm${+i! + 1}.${rest}`],
  [/^block\.(\d)\.(\d+)\.(.*)/, (i, j, rest) => `block${+i! + 1}.${j}.${blockName(rest!)}`],
  [/^decode_head\.linear_c\.(\d)\.(.*)/, (i, rest) => `decode_head.linear_c${+i! + 1}.${rest}`],
  [/^decode_head\.linear_fuse\.weight/, () => 'decode_head.linear_fuse.conv.weight'],
  [/^decode_head\.batch_norm\.(.*)/, (rest) => `decode_head.linear_fuse.bn.${rest}`],
  [/^decode_head\.classifier\.(.*)/, (rest) => `decode_head.linear_pred.${rest}`],
];

function blockName(name: string): string {
  return name
    .replace(/^layer_norm_(\d)/, 'norm$1')
    .replace(/^attention\.self\.(query|key|value)/, 'attn.$1')
    .replace(/^attention\.self\.sr/, 'attn.sr')
    .replace(/^attention\.self\.layer_norm/, 'attn.norm')
    .replace(/^attention\.output\.dense/, 'attn.proj')
    .replace(/^mlp\.dense(\d)/, 'mlp.fc$1');
}

/**
 * Hugging Face's SegFormer checkpoints (`segformer.encoder.…`, `decode_head.…`): query is q, key and
 * value are stacked to kv (new tensors).
 * @throws {ModelError} `M3L_MODEL_CHECKPOINT` for a name that such a checkpoint does not have.
 */
export function fromHuggingFace(state: nn.StateDict, options: AdapterOptions = {}): nn.StateDict {
  checkArguments(
    'fromHuggingFace',
    { state, options },
    { state: is.recordOf(is.tensor), options: is.record },
  );

  const nvidia: nn.StateDict = {};
  for (const [name, tensor] of Object.entries(state)) {
    if (isCounter(name) || name.startsWith('classifier.')) continue;
    nvidia[nvidiaName(name)] = tensor;
  }
  for (const [name, key] of Object.entries(nvidia)) {
    if (name.includes('.attn.query.')) {
      nvidia[name.replace('.query.', '.q.')] = key;
      delete nvidia[name];
    }
    if (!name.includes('.attn.key.')) continue;
    const valueName = name.replace('.key.', '.value.');
    const value = nvidia[valueName];
    if (!value) throw new ModelError('M3L_MODEL_CHECKPOINT', `${name} is there, ${valueName} not.`);
    nvidia[name.replace('.key.', '.kv.')] = torch.cat([key, value] satisfies Tensor[], 0);
    delete nvidia[name];
    delete nvidia[valueName];
  }
  return fromNvidia(nvidia, options);
}

function nvidiaName(name: string): string {
  const bare = name.replace(/^(segformer\.)?encoder\./, '');
  for (const [pattern, rename] of huggingFace) {
    const match = pattern.exec(bare);
    if (match) return rename(...match.slice(1));
  }
  throw new ModelError(
    'M3L_MODEL_CHECKPOINT',
    `'${name}' is no name of a Hugging Face SegFormer checkpoint (segformer.encoder.…, ` +
      'decode_head.…). Use the adapter of the format that the file has.',
  );
}

/**
 * An encoder of ours by our names, for other modalities than it was trained with: each takes the norms
 * of the first modality of its own kind, or where there is none those of the first that is rgb, or of
 * the first.
 * @param kinds those of the modalities that it was trained with, in order, and those wanted
 */
export function fromEncoder(
  state: nn.StateDict,
  kinds: { trained: readonly string[]; wanted: readonly string[] },
): nn.StateDict {
  checkArguments(
    'fromEncoder',
    { state, kinds },
    {
      state: is.recordOf(is.tensor),
      kinds: is.shape('options', { trained: is.listOf(is.text), wanted: is.listOf(is.text) }),
    },
  );

  const { trained, wanted } = kinds;
  const sources = wanted.map((kind) => {
    const own = trained.indexOf(kind);
    return own >= 0 ? own : Math.max(0, trained.indexOf('rgb'));
  });
  const found: nn.StateDict = {};
  for (const [name, tensor] of Object.entries(state)) {
    const norm = /^(.*\.ln_)(\d+)(\.(?:weight|bias))$/.exec(name);
    if (norm === null) {
      found[name] = tensor;
      continue;
    }
    const [, before, index, after] = norm;
    sources.forEach((source, m) => {
      if (source === Number(index)) found[`${before}${m}${after}`] = tensor;
    });
  }
  return found;
}

/**
 * Loads converted weights into a model that may have more: a decoder of its own, mask tokens, what
 * fuses its modalities, α.
 * @returns the model's names that kept their values.
 * @throws {ModelError} `M3L_MODEL_CHECKPOINT` when the checkpoint has what the model has not, or
 *   lacks a part of the encoder; StateDictError when shapes differ.
 */
export function loadPretrained(model: nn.Module, state: nn.StateDict): string[] {
  checkArguments(
    'loadPretrained',
    { model, state },
    {
      model: is.shape('Module', { forward: is.callback, namedChildren: is.callback }),
      state: is.recordOf(is.tensor),
    },
  );

  const own = new Set([...model.namedParameters(), ...model.namedBuffers()].map(([name]) => name));
  const unexpected = Object.keys(state).filter((name) => !own.has(name));
  const lacking = [...own].filter((name) => isOfEncoder(name) && !(name in state));
  if (unexpected.length > 0 || lacking.length > 0) {
    throw new ModelError(
      'M3L_MODEL_CHECKPOINT',
      `The checkpoint is of another model: ${unexpected.length} names too many ` +
        `(${unexpected.slice(0, 3).join(', ')}), ${lacking.length} of the encoder missing ` +
        `(${lacking.slice(0, 3).join(', ')}). Choose the backbone and the number of modalities ` +
        'that it was made for.',
    );
  }
  return model.loadStateDict(state, { strict: false }).missing;
}

/** Whether a state's name is of what makes a Mix Transformer, whatever fuses its modalities. */
export function isOfEncoder(name: string): boolean {
  return /^encoder\d*\./.test(name) && !/\.(mask_token|score_predictor\..*|fusion\..*)$/.test(name);
}

function isCounter(name: string): boolean {
  return name.endsWith('num_batches_tracked');
}
