import { kindOf, type ModalitySpec, normalisationOf } from '../../data/modality.js';
import { modalitySpecShape } from '../../data/rules.js';
import { checkArguments } from '../../torch/check-arguments.js';
import type { Tensor } from '../../torch/index.js';
import * as torch from '../../torch/index.js';
import * as is from '../../torch/rules.js';
import type { Fill } from './fills.js';
import { type Masks, maskedRows } from './inputs.js';

/**
 * An input [B, 3, H, W] that holds nothing of the missing modality.
 * @param like any tensor of the wanted shape, dtype and device; its values are not read
 */
export function fillModality(
  like: Tensor,
  spec: ModalitySpec,
  fill: Fill,
  generator?: torch.Generator,
): Tensor {
  checkArguments(
    'fillModality',
    { like, spec, fill, generator },
    {
      like: is.tensor,
      spec: modalitySpecShape,
      fill: is.text,
      generator: is.maybe(
        is.shape('Generator', { manualSeed: is.callback, initialSeed: is.callback }),
      ),
    },
  );

  const options = { dtype: like.dtype, device: like.device };
  const shape = [...like.shape];
  if (fill === 'zeros') return torch.zeros(shape, options);
  if (fill === 'mean') return torch.full(shape, middle(spec), options);
  const [batch, channels, height, width] = shape as [number, number, number, number];
  const drawn = kindOf(spec).channels === 1 ? 1 : channels;
  return torch
    .rand([batch, drawn, height, width], { ...options, generator })
    .expand([batch, channels, height, width]);
}

function middle(spec: ModalitySpec): number {
  const level = kindOf(spec).middle;
  if (level === null) return 0;
  const { mean, std } = normalisationOf(spec);
  return (level - mean[0]!) / std[0]!;
}

/**
 * The inputs with modality `masked[b]` of sample b replaced by `fill` (−1: nothing replaced).
 * @param modalities M × [B, 3, H, W]
 */
export function fillMasked(
  modalities: readonly Tensor[],
  masked: Masks,
  specs: readonly ModalitySpec[],
  fill: Fill,
  generator?: torch.Generator,
): Tensor[] {
  checkArguments(
    'fillMasked',
    { modalities, masked, specs, fill, generator },
    {
      modalities: is.listOf(is.tensor),
      masked: is.either(is.tensor, is.listOf(is.finite)),
      specs: is.listOf(modalitySpecShape),
      fill: is.text,
      generator: is.maybe(
        is.shape('Generator', { manualSeed: is.callback, initialSeed: is.callback }),
      ),
    },
  );

  return modalities.map((input, modality) => {
    const isMasked = maskedRows([modality], input.shape[0]!, { masked }, input.device); // [B]
    if (isMasked === null) return input;
    const filled = fillModality(input, specs[modality]!, fill, generator);
    return torch.where(isMasked.reshape([-1, 1, 1, 1]), filled, input);
  });
}
