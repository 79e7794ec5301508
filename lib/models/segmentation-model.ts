import type * as nn from '../nn/index.js';
import { M3lError } from '../torch/errors.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';

/** What a model was given does not fit it. Codes `M3L_MODEL_…`. */
export class ModelError extends M3lError {}

export interface ForwardOptions extends Masking {
  /** Whether predictions have the input's size (default), or a quarter of it (rounded up). */
  upsample?: boolean;
}

/** For each sample of a batch the modality that it has not, -1 for none. */
export type Masks = readonly number[] | Tensor;

/** Which modalities are replaced by the mask token (m3l.md, section 4). */
export interface Masking {
  /**
   * For each sample the index of the modality to mask, or -1 for none. As a tensor, [B] int64 on the
   * inputs' device, its values are not looked at before the device does: a captured graph reads them
   * anew at every replay.
   */
  masked?: Masks;
  /** Probability with which each token of a masked modality is replaced; 1 (default) for all. */
  maskingRatio?: number;
  generator?: torch.Generator;
}

export interface Prediction {
  /** Logits of each modality's stream: M × [B,K,H,W] float32. */
  heads: Tensor[];
  /** Logits of all streams together, [B,K,H,W]; the only head's where there is one modality. */
  ensemble: Tensor;
  /** A scalar that training adds to the supervised loss, weighted already; absent where there is none. */
  penalty?: Tensor;
}

/** Whose logits: those of a modality's stream, by its index, or of all streams together. */
export type Head = number | 'ensemble';

/** What predicts: a model, or its view for inference. */
export interface Predictor {
  readonly modalities: number;
  readonly numClasses: number;
  /** Whether a missing modality is known to the model; otherwise its input must be filled. */
  readonly hasMaskToken: boolean;
  /** The least height and the least width of the inputs. */
  readonly leastSide: number;
  /**
   * @param inputs M × [B,3,H,W] float32, normalised. null: missing for the whole batch (mask
   *   token); several may be, not all.
   * @throws {ModelError} `M3L_MODEL_INPUT` when inputs or masking do not fit the model.
   */
  forward(inputs: readonly (Tensor | null)[], options?: ForwardOptions): Prediction;

  /**
   * The logits of the heads asked for, in their order: what `forward` gives of them, without the
   * work that only the others need. Inputs as there.
   * @throws {ModelError} `M3L_MODEL_HEAD` for a head that the model has not; `M3L_MODEL_INPUT`.
   */
  forwardHeads(
    inputs: readonly (Tensor | null)[],
    heads: readonly Head[],
    options?: ForwardOptions,
  ): Tensor[];
}

export interface SegmentationModel extends nn.Module, Predictor {
  /**
   * What encoder and head compute products in (`float32`, unless set): narrower by autocast. Weights,
   * sums and the predictions are float32 all the same.
   */
  precision: torch.AutocastDType;

  forward(...args: Parameters<Predictor['forward']>): Prediction;
}

/** Logits that `compute` gives at a precision, as float32. */
export function atPrecision(
  dtype: torch.AutocastDType,
  inputs: readonly (Tensor | null)[],
  compute: () => Tensor,
): Tensor {
  if (dtype === 'float32') return compute();
  const { device } = inputs.find((input) => input !== null)!;
  return torch.autocast({ dtype, device }, compute).to('float32');
}

/** The common [B,3,H,W] of the inputs that are there, checked against the model. */
export function checkInputs(
  inputs: readonly (Tensor | null)[],
  modalities: number,
  { masked = [] }: Masking,
  { hasMaskToken, leastSide }: Pick<Predictor, 'hasMaskToken' | 'leastSide'>,
): { batch: number; height: number; width: number } {
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
  const onHost = masked instanceof torch.Tensor ? [] : masked;
  const count = masked instanceof torch.Tensor ? masked.shape.join(' × ') : masked.length;
  if (count !== 0 && String(count) !== String(batch)) {
    fail(`\`masked\` has ${count} entries for a batch of ${batch}, expected one a sample.`);
  }
  for (const index of onHost) {
    if (!Number.isInteger(index) || index < -1 || index >= modalities) {
      fail(`\`masked\` holds ${index}, expected -1 or a modality from 0 to ${modalities - 1}.`);
    }
  }
  const mayMask = masked instanceof torch.Tensor || onHost.some((index) => index >= 0);
  if (!hasMaskToken && (shapes.length < modalities || mayMask)) {
    fail(
      'A modality is missing and the model has no mask token: fill the input instead ' +
        "(`fill`: 'zeros', 'noise' or 'mean'), or build the model with maskToken: true.",
    );
  }
  return { batch: batch!, height: height!, width: width! };
}
