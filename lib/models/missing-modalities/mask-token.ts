import * as nn from '../../nn/index.js';
import type { Tensor } from '../../torch/index.js';
import * as torch from '../../torch/index.js';
import type { Feature } from '../mit.js';
import { type Masking, maskedRows } from './inputs.js';

/** The learned vector [C] that stands for a missing token, one for all modalities. */
export function createMaskToken(channels: number): Tensor {
  return nn.parameter(() => torch.randn([channels]));
}

/** The first patch embedding: images [P·B, 3, H, W] of the modalities `present` to their tokens. */
export type EmbedImages = (images: Tensor, present: readonly number[]) => Feature;

/**
 * The tokens [M·B, N, C] of the first patch embedding, after its norm, where every token of a missing
 * modality is the mask token; of a partly masked one (`maskingRatio` below 1) each is with that
 * probability (m3l.md section 4). A modality that the whole batch lacks is not embedded at all.
 *
 * @param inputs M × [B, 3, H, W]; null: missing for the whole batch
 * @param maskToken [C]; null where none is ever missing
 */
export function embedWithMaskToken(
  inputs: readonly (Tensor | null)[],
  masking: Masking,
  maskToken: Tensor | null,
  embed: EmbedImages,
): Feature {
  const present = inputs.flatMap((input, m) => (input ? [m] : []));
  const given = inputs.filter((input) => input !== null);
  const { device } = given[0]!;
  const batch = given[0]!.shape[0]!;
  const isMasked = maskedRows(present, batch, masking, device); // [P·B]

  // Selected, never multiplied: what a masked input holds, NaN included, reaches neither activations
  // nor gradients. A partly masked one is still an input.
  let images = torch.cat(given, 0); // [P·B, 3, H, W]
  if (isMasked && (masking.maskingRatio ?? 1) >= 1) {
    images = images.maskedFill(isMasked.view([-1, 1, 1, 1]), 0);
  }
  // Last, since maskedFill does not keep the layout.
  images = images.to({ memoryFormat: 'channelsLast' });
  const { tokens: embedded, ...grid } = embed(images, present); // [P·B, N, C]
  const known = isMasked
    ? replaceTokens(embedded, maskToken!, maskedTokens(isMasked, embedded, masking))
    : embedded;
  if (present.length === inputs.length) return { tokens: known, ...grid };

  const [, count, channels] = known.shape as [number, number, number];
  const missing = maskToken!.to({ dtype: known.dtype }).expand([batch, count, channels]);
  const streams = inputs.map((_, m) => {
    const at = present.indexOf(m);
    return at < 0 ? missing : known.narrow(0, at * batch, batch);
  });
  return { tokens: torch.cat(streams, 0), ...grid }; // [M·B, N, C]
}

/** The mask token where `isMasked` ([R] or [R, N]), the token elsewhere. */
function replaceTokens(tokens: Tensor, maskToken: Tensor, isMasked: Tensor): Tensor {
  return torch.ops.m3l!.mask_tokens!(tokens, maskToken, isMasked) as Tensor;
}

/** Of each row [R], or with a ratio below 1 of each token [R, N], whether it is masked. */
function maskedTokens(isMasked: Tensor, tokens: Tensor, masking: Masking): Tensor {
  const { maskingRatio = 1, generator } = masking;
  if (maskingRatio >= 1) return isMasked;
  const [rows, count] = tokens.shape as [number, number, number];
  const options = { device: tokens.device, ...(generator ? { generator } : {}) };
  const draws = torch.rand([rows, count], options);
  return isMasked.unsqueeze(1).logicalAnd(draws.lt(maskingRatio));
}
