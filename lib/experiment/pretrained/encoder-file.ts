import { isOfEncoder } from '../../models/adapters.js';
import type { StateDict } from '../../nn/index.js';
import type { Tensor } from '../../torch/index.js';
import * as torch from '../../torch/index.js';
import { CheckpointError } from '../errors.js';

/** The file of a weights package. */
export const ENCODER_FILE = 'encoder.safetensors';

/** Marks an encoder of ours among the formats that `model.pretrained` takes. */
const FORMAT = 'm3l-encoder';
const VERSION = '1';

/** What an encoder's file says of it. */
export interface EncoderFacts {
  /** As configurations name it: `mit-b0`. */
  backbone: string;
  /** Kinds of the modalities that it was trained with, in the order of its norms. */
  kinds: string[];
}

/**
 * Writes an encoder in half precision: of a model's state those tensors that are named `encoder.`, by
 * their names.
 *
 * @throws CheckpointError M3L_PRETRAINED of a model that has none
 */
export function saveEncoder(path: string, state: StateDict, facts: EncoderFacts): void {
  torch.scope(() => {
    const tensors: Record<string, Tensor> = {};
    for (const [name, tensor] of Object.entries(state)) {
      const wanted = isOfEncoder(name) || name.endsWith('mask_token');
      if (wanted) tensors[name] = tensor.detach().to({ dtype: 'float16' });
    }
    if (!Object.keys(tensors).some(isOfEncoder)) {
      throw new CheckpointError(
        'M3L_PRETRAINED',
        'the model has no encoder that its modalities share, expected one of linear-fusion, token-fusion or segformer. Set model.name to one of these.',
      );
    }
    torch.saveSafetensors(path, tensors, {
      format: FORMAT,
      version: VERSION,
      backbone: facts.backbone,
      modalities: facts.kinds.join(','),
    });
  });
}

/**
 * What the metadata of a safetensors file say; null for a file of another origin.
 * @throws CheckpointError M3L_PRETRAINED of a version that is not known
 */
export function encoderFacts(file: string, metadata: Record<string, string>): EncoderFacts | null {
  const { format, version, backbone = '', modalities = '' } = metadata;
  if (format !== FORMAT) return null;
  if (version === VERSION) return { backbone, kinds: modalities.split(',') };
  throw new CheckpointError(
    'M3L_PRETRAINED',
    `${file}: found an encoder of version ${version}, expected ${VERSION}. Use the m3l that it was made for.`,
  );
}
