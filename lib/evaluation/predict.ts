import { type ModalitySpec, mixSeed } from '../data/index.js';
import {
  type Fill,
  fillModality,
  type Head,
  type Prediction,
  type Predictor,
} from '../models/index.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { checkMissing } from './missing.js';

export interface PredictOptions {
  specs: readonly ModalitySpec[];
  /** Modalities not to look at, besides those whose input is null. */
  missing?: readonly number[];
  /** What stands for them in a model without a mask token. */
  fill?: Fill;
  /** Seed of the noise fill. */
  seed?: number;
  /** Whether the logits have the inputs' size (default), or the resolution of the model's head. */
  upsample?: boolean;
}

/**
 * Predictions from whichever modalities are there: a missing one is the mask token (ratio 1), or
 * `fill` (default `zeros`) in a model without. Nothing of a missing input is read.
 * @param model a model in evaluation mode, or its view for inference
 * @param inputs M × [B, 3, H, W] normalised, or null
 */
export function predictMissing(
  model: Predictor,
  inputs: readonly (Tensor | null)[],
  options: PredictOptions,
): Prediction {
  return model.forward(withoutMissing(model, inputs, options), { upsample: options.upsample });
}

/** The logits of one head of `predictMissing`, without the work that only the others need. */
export function predictHead(
  model: Predictor,
  inputs: readonly (Tensor | null)[],
  head: Head,
  options: PredictOptions,
): Tensor {
  const { upsample } = options;
  return model.forwardHeads(withoutMissing(model, inputs, options), [head], { upsample })[0]!;
}

/** What the model is given: null where it has a mask token, else the fill. */
function withoutMissing(
  model: Predictor,
  inputs: readonly (Tensor | null)[],
  { specs, missing = [], fill = 'zeros', seed = 0 }: PredictOptions,
): (Tensor | null)[] {
  const lost = inputs.flatMap((input, index) =>
    input === null || missing.includes(index) ? [index] : [],
  );
  checkMissing([...missing, ...lost], inputs.length);
  if (model.hasMaskToken) {
    return inputs.map((input, index) => (lost.includes(index) ? null : input));
  }
  const present = inputs.find((_, index) => !lost.includes(index))!;
  return inputs.map((input, index) => {
    if (!lost.includes(index)) return input;
    const generator =
      fill === 'noise'
        ? new torch.Generator(present.device).manualSeed(mixSeed(seed, index))
        : undefined;
    return fillModality(present, specs[index]!, fill, generator);
  });
}

/**
 * The class of each pixel by each head, the ensemble's last: M + 1 × [B, H, W] int64 at `size`. What
 * `predictMissing` and `classMap` give, straight from the head's resolution where it can be.
 */
export function predictClasses(
  model: Predictor,
  inputs: readonly (Tensor | null)[],
  { size, ...options }: Omit<PredictOptions, 'upsample'> & { size: readonly number[] },
): Tensor[] {
  const given = inputs.find((input) => input !== null)?.shape.slice(2);
  const sameSize = given?.join() === size.join();
  const { heads, ensemble } = predictMissing(model, inputs, { ...options, upsample: !sameSize });
  const labels = (logits: Tensor) =>
    sameSize ? (torch.ops.m3l!.upsample_argmax!(logits, size) as Tensor) : classMap(logits, size);
  return [...heads, ensemble].map(labels);
}

/**
 * The class of each pixel, [B, H, W] int64, at `size` [height, width]: logits of another size are
 * resized first (bilinear, half-pixel centres), so that class borders stay smooth.
 */
export function classMap(logits: Tensor, size?: readonly number[]): Tensor {
  const [height, width] = logits.shape.slice(2) as [number, number];
  if (!size || (size[0] === height && size[1] === width)) return logits.argmax(1);
  return torch.upsampleBilinear2d(logits, [...size], false).argmax(1);
}
