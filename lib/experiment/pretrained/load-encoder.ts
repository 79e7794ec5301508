import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import {
  fromEncoder,
  fromHuggingFace,
  fromNvidia,
  loadPretrained,
  type SegmentationModel,
} from '../../models/index.js';
import type { StateDict } from '../../nn/index.js';
import * as torch from '../../torch/index.js';
import type { Config } from '../config/config.js';
import { CheckpointError } from '../errors.js';
import { nearest } from '../nearest.js';
import { encoderFacts } from './encoder-file.js';
import { findWeights } from './find-weights.js';

/**
 * Gives a model the encoder that `model.pretrained` names, if any: of a file of ours, NVIDIA's or
 * Hugging Face's, told apart by what they hold.
 *
 * @param note is told where the weights come from
 * @throws CheckpointError M3L_PRETRAINED_MISSING, M3L_PRETRAINED; errors of the file and of its adapter
 */
export function loadEncoder(
  model: SegmentationModel,
  config: Config,
  note: (text: string) => void,
): void {
  const { pretrained = 'none', backbone } = config.model;
  if (pretrained === 'none') return;
  const file = pretrained === 'rooms' ? findWeights('rooms', String(backbone)) : pretrained;
  requireFile(file);
  torch.scope(() => {
    const shared = adapted(file, model, config);
    loadPretrained(model, model.ownEncoder?.(shared) ?? shared);
  });
  note(`Starts from the encoder of ${file}.`);
}

/** A word that is not one of them is taken for a file. */
function requireFile(file: string): void {
  if (existsSync(file)) return;
  const near = nearest(basename(file), ['rooms', 'none']);
  const hint = near === null ? '' : ` Did you mean '${near}'?`;
  throw new CheckpointError(
    'M3L_PRETRAINED_MISSING',
    `model.pretrained: ${file} does not exist; expected a safetensors file, 'rooms' or 'none'.${hint}`,
  );
}

function adapted(file: string, model: SegmentationModel, config: Config): StateDict {
  const { tensors, metadata } = torch.loadSafetensors(file);
  const wanted = Object.values(config.data.modalities).map(({ kind }) => kind);
  const facts = encoderFacts(file, metadata);
  if (facts === null) {
    const huggingFace = Object.keys(tensors).some((name) => name.includes('patch_embeddings.'));
    const adapt = huggingFace ? fromHuggingFace : fromNvidia;
    return adapt(tensors, { modalities: wanted.length });
  }
  const { backbone } = config.model;
  if (facts.backbone !== backbone) {
    throw new CheckpointError(
      'M3L_PRETRAINED',
      `${file} is an encoder of ${facts.backbone}, model.backbone is ${backbone}. ` +
        `Use --set model.backbone=${facts.backbone}, or another file.`,
    );
  }
  const found = fromEncoder(tensors, { trained: facts.kinds, wanted });
  const own = new Set(model.namedParameters().map(([name]) => name));
  const fits = (name: string) => !name.endsWith('mask_token') || own.has(name);
  return Object.fromEntries(Object.entries(found).filter(([name]) => fits(name)));
}
