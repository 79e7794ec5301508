import type * as nn from '../../nn/index.js';
import { CheckpointError } from '../errors.js';
import type { Wanted, WeightsFormat } from './format.js';
import { authors } from './formats/authors.js';
import { huggingFace } from './formats/hugging-face.js';
import { m3lEncoder } from './formats/m3l-encoder.js';
import { nvidia } from './formats/nvidia.js';
import { torchvision } from './formats/torchvision.js';
import type { WeightsFile } from './read.js';

/** Every format, a line each; the first that fits is taken. */
const FORMATS: readonly WeightsFormat[] = [m3lEncoder, huggingFace, authors, nvidia, torchvision];

/**
 * The format in which a file's weights are named.
 * @throws CheckpointError M3L_PRETRAINED where it is none that is known
 */
export function formatOf(file: WeightsFile): WeightsFormat {
  const found = FORMATS.find((format) => format.fits(file));
  if (found !== undefined) return found;
  const names = Object.keys(file.tensors);
  throw new CheckpointError(
    'M3L_PRETRAINED',
    `${file.path}: found ${names.length} tensors (${names.slice(0, 3).join(', ')}, …), expected the names of ` +
      `${FORMATS.map(({ title }) => title).join(', of ')}.`,
  );
}

/**
 * The weights of a file by our names, for a model: without mask tokens where it has none.
 * @throws CheckpointError M3L_PRETRAINED; errors of the format
 */
export function weightsFor(file: WeightsFile, model: nn.Module, wanted: Wanted): nn.StateDict {
  const own = new Set(model.namedParameters().map(([name]) => name));
  const fits = (name: string) => !name.endsWith('mask_token') || own.has(name);
  const all = Object.entries(formatOf(file).convert(file, wanted));
  return Object.fromEntries(all.filter(([name]) => fits(name)));
}
