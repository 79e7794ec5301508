import { checkArguments } from '../../torch/check-arguments.js';
import type { Tensor } from '../../torch/index.js';
import * as torch from '../../torch/index.js';
import * as is from '../../torch/rules.js';
import { type ForwardOptions, ModelError, type Predictor } from '../segmentation-model.js';

/** For each sample of a batch the index of the modality that it has not, -1 for none. */
export type Masks = readonly number[] | Tensor;

/** Which modalities are replaced by the mask token (m3l.md section 4). */
export interface Masking {
  /**
   * Indices, not flags: for each sample that of the modality to mask, or -1 for none. As a tensor,
   * [B] int64 on the inputs' device, its values are not looked at before the device does: a captured
   * graph reads them anew at every replay.
   */
  masked?: Masks;
  /** Probability with which each token of a masked modality is replaced; 1 (default) for all. */
  maskingRatio?: number;
  generator?: torch.Generator;
}

/**
 * The common [B,3,H,W] of the inputs that are there, checked against the model.
 * @throws {ModelError} `M3L_MODEL_INPUT`
 */
export function checkInputs(
  inputs: readonly (Tensor | null)[],
  modalities: number,
  options: ForwardOptions,
  model: Pick<Predictor, 'hasMaskToken' | 'leastSide'>,
): { batch: number; height: number; width: number } {
  checkArguments(
    'checkInputs',
    { inputs, modalities, options, model },
    {
      inputs: is.listOf(is.orNull(is.tensor)),
      modalities: is.finite,
      options: is.record,
      model: is.shape('Predictor', { hasMaskToken: is.flag, leastSide: is.finite }),
    },
  );
  const { masked = [], filled = [] } = options;
  const { hasMaskToken, leastSide } = model;

  const fail = (message: string): never => {
    throw new ModelError('M3L_MODEL_INPUT', message);
  };
  if (inputs.length !== modalities) {
    fail(`${inputs.length} inputs, expected ${modalities}: one per modality, null if missing.`);
  }
  const shapes = inputs.flatMap((input) => (input ? [input.shape] : []));
  const [batch, channels, height, width] = shapes[0] ?? fail('Every modality is missing.');
  for (const shape of shapes) {
    if (shape.length !== 4 || channels !== 3 || shape.join() !== shapes[0]!.join()) {
      const found = shapes.map((each) => `[${each}]`).join(', ');
      fail(`Inputs of shapes ${found}, expected the same [B,3,H,W] for every modality.`);
    }
  }
  if (height! < leastSide || width! < leastSide) {
    fail(`Inputs of ${height} × ${width} pixels, expected at least ${leastSide} a side: pad them.`);
  }
  for (const [name, given] of Object.entries({ masked, filled })) {
    const perSample = !(given instanceof Set);
    const count = given instanceof torch.Tensor ? given.shape.join(' × ') : [...given].length;
    if (perSample && count !== 0 && String(count) !== String(batch)) {
      fail(`\`${name}\` has ${count} entries for a batch of ${batch}, expected one a sample.`);
    }
    for (const index of given instanceof torch.Tensor ? [] : given) {
      if (!Number.isInteger(index) || index < (perSample ? -1 : 0) || index >= modalities) {
        const none = perSample ? '-1 or ' : '';
        fail(`\`${name}\` holds ${index}, expected ${none}a modality from 0 to ${modalities - 1}.`);
      }
    }
  }
  const mayMask = masked instanceof torch.Tensor || masked.some((index) => index >= 0);
  if (!hasMaskToken && (shapes.length < modalities || mayMask)) {
    fail(
      'A modality is missing and the model has no mask token: fill the input instead ' +
        "(`fill`: 'zeros', 'noise' or 'mean'), or build the model with maskToken: true.",
    );
  }
  return { batch: batch!, height: height!, width: width! };
}

/** Of each row of the modalities `present` whether its sample is masked there, [P·B] bool. */
export function maskedRows(
  present: readonly number[],
  batch: number,
  { masked }: Masking,
  device: string,
): Tensor | null {
  if (masked instanceof torch.Tensor) return torch.cat(present.map((m) => masked.eq(m)));
  if (!masked?.some((index) => present.includes(index))) return null;
  const rows = Uint8Array.from(
    present.flatMap((m) => Array.from({ length: batch }, (_, b) => Number(masked[b] === m))),
  );
  return torch.tensor(rows, { dtype: 'bool', device });
}
