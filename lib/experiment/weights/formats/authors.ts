import { fromAuthors } from '../../../models/index.js';
import { CheckpointError } from '../../errors.js';
import type { WeightsFormat } from '../format.js';
import type { WeightsFile } from '../read.js';

const NETWORK = /^(\w+)\.(?=encoder\d?\.|decoder\.|backbone\.|model\.)/;

/** Networks by the names' first part: `student.encoder.…`. */
function networks({ tensors }: WeightsFile): string[] {
  const found = Object.keys(tensors).flatMap((name) => NETWORK.exec(name)?.[1] ?? []);
  return [...new Set(found)];
}

/** The authors' checkpoints of M3L, and ours: modules shared by modalities, a norm for each. */
export const authors: WeightsFormat = {
  name: 'm3l',
  title: "the authors' checkpoints and m3l's",
  fits: ({ tensors }) =>
    Object.keys(tensors).some((name) =>
      /^(\w+\.)?encoder\d?\.patch_embed1\.(proj\.module|norm\.ln_\d+)\./.test(name),
    ),
  networks,
  convert(file, { network }) {
    const known = networks(file);
    const wanted = network ?? (known.includes('teacher') ? 'teacher' : known[0]);
    if (network !== undefined && !known.includes(network)) {
      throw new CheckpointError(
        'M3L_PRETRAINED',
        `${file.path}: found ${known.length ? `the networks ${known.join(', ')}` : 'one network without a name'}, expected '${network}'.`,
      );
    }
    if (wanted === undefined) return fromAuthors(file.tensors);
    const prefix = `${wanted}.`;
    const own = Object.entries(file.tensors).filter(([name]) => name.startsWith(prefix));
    return fromAuthors(
      Object.fromEntries(own.map(([name, tensor]) => [name.slice(prefix.length), tensor])),
    );
  },
};
