import { type ModalitySpec, mixSeed, normalisationOf } from '../data/index.js';
import {
  asPrediction,
  type Fill,
  fillModality,
  type Head,
  headsOf,
  type Prediction,
  type Predictor,
} from '../models/index.js';
import { predictorShape } from '../models/rules.js';
import { checkArguments } from '../torch/check-arguments.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import * as is from '../torch/rules.js';
import {
  type ClassMapOptions,
  classMap,
  confidenceMap,
  type HeadInputs,
  probabilityMap,
  windowOf,
} from './class-map.js';
import { checkMissing } from './missing.js';
import { predictClassesOptionsShape, predictOptionsShape } from './rules.js';
import { predictViews, type Views } from './views.js';

/** What a prediction takes by name. */
export interface PredictOptions extends Views {
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
 * `fill` (default `zeros`) in a model without. Nothing of a missing input is read. Inputs smaller than
 * the model takes are padded, evenly and black as in training; `upsample` cuts the padding off again.
 * @param model a model in evaluation mode, or its view for inference
 * @param inputs M × [B, 3, H, W] normalised, or null
 */
export function predictMissing(
  model: Predictor,
  inputs: readonly (Tensor | null)[],
  options: PredictOptions,
): Prediction {
  checkArguments(
    'predictMissing',
    { model, inputs, options },
    {
      model: predictorShape,
      inputs: is.listOf(is.orNull(is.tensor)),
      options: predictOptionsShape,
    },
  );

  return asPrediction(predictLogits(model, inputs, headsOf(model), options).logits);
}

/** What `predictClasses` takes by name. */
export interface PredictClassesOptions
  extends Omit<PredictOptions, 'upsample'>,
    Pick<ClassMapOptions, 'alignCorners'> {
  /** [height, width] of what comes out, the labels'. */
  size: readonly number[];
  /** Whose predictions; of every head that the model has, the ensemble last, where absent. */
  heads?: readonly Head[];
}

/**
 * The class of each pixel by each head, the ensemble's last (M + 1 as a rule): [B, H, W] int64 at `size`. What
 * `predictMissing` and `classMap` give, straight from the head's resolution.
 */
export function predictClasses(
  model: Predictor,
  inputs: readonly (Tensor | null)[],
  given: PredictClassesOptions,
): Tensor[] {
  checkArguments(
    'predictClasses',
    { model, inputs, given },
    {
      model: predictorShape,
      inputs: is.listOf(is.orNull(is.tensor)),
      given: predictClassesOptionsShape,
    },
  );
  return torch.scope(() => headMaps(model, inputs, given).maps);
}

/**
 * As `predictClasses`, with what the last of the heads gives the class that it says: the highest softmax
 * probability, [B, H, W] float32.
 */
export function predictConfidence(
  model: Predictor,
  inputs: readonly (Tensor | null)[],
  given: PredictClassesOptions,
): { maps: Tensor[]; confidence: Tensor } {
  return torch.scope(() => {
    const { maps, logits, asked } = headMaps(model, inputs, given);
    return { maps, confidence: confidenceMap(logits, given.size, asked) };
  });
}

/** As `predictClasses`, with the softmax probabilities of the last of the heads, [B, K, H, W] float32. */
export function predictProbabilities(
  model: Predictor,
  inputs: readonly (Tensor | null)[],
  given: PredictClassesOptions,
): { maps: Tensor[]; probabilities: Tensor } {
  return torch.scope(() => {
    const { maps, logits, asked } = headMaps(model, inputs, given);
    return { maps, probabilities: probabilityMap(logits, given.size, asked) };
  });
}

/** The class maps of heads; of the last its logits, and how they are brought to the maps' size. */
function headMaps(
  model: Predictor,
  inputs: readonly (Tensor | null)[],
  { size, heads = headsOf(model), alignCorners, ...options }: PredictClassesOptions,
) {
  const predicted = predictLogits(model, inputs, heads, { ...options, upsample: false });
  const asked = { alignCorners, inputs: predicted.inputs };
  const maps = predicted.logits.map((logits) => classMap(logits, size, asked));
  return { maps, logits: predicted.logits.at(-1)!, asked };
}

/** The logits of heads, at the head's resolution of the padded inputs or at that of the pictures. */
function predictLogits(
  model: Predictor,
  inputs: readonly (Tensor | null)[],
  heads: readonly Head[],
  { upsample = true, ...options }: PredictOptions,
): { logits: Tensor[]; inputs: HeadInputs } {
  const { complete, filled } = withoutMissing(model, inputs, options);
  const padded = padInputs(complete, options.specs, model.leastSide);
  const { specs } = options;
  const logits = predictViews(model, padded.inputs, options, { heads, specs, upsample, filled });
  return {
    logits: upsample ? logits.map((each) => windowOf(each, padded.geometry)) : logits,
    inputs: padded.geometry,
  };
}

/** Inputs of at least `least` pixels a side: what is black before the normalisation goes around them. */
function padInputs(
  inputs: readonly (Tensor | null)[],
  specs: readonly ModalitySpec[],
  least: number,
): { inputs: (Tensor | null)[]; geometry: HeadInputs } {
  const shape = inputs.find((input) => input !== null)!.shape;
  const [height, width] = shape.slice(2) as [number, number];
  const padded = [Math.max(height, least), Math.max(width, least)] as const;
  const top = Math.floor((padded[0] - height) / 2);
  const left = Math.floor((padded[1] - width) / 2);
  const geometry = { padded, window: { top, left, height, width } };
  if (padded[0] === height && padded[1] === width) return { inputs: [...inputs], geometry };
  const pad = (input: Tensor, spec: ModalitySpec) => {
    const { mean, std } = normalisationOf(spec);
    const { dtype, device } = input;
    const black = torch.tensor(
      mean.map((value, c) => -value / std[c]!),
      { dtype, device, shape: [1, mean.length, 1, 1] },
    );
    const around = black.expand([...input.shape.slice(0, 2), ...padded]).clone();
    windowOf(around, geometry).copy_(input);
    return around;
  };
  return { inputs: inputs.map((input, m) => input && pad(input, specs[m]!)), geometry };
}

/** What the model is given: null where it has a mask token, else the fill, and of which that is. */
function withoutMissing(
  model: Predictor,
  inputs: readonly (Tensor | null)[],
  { specs, missing = [], fill = 'zeros', seed = 0 }: PredictOptions,
): { complete: (Tensor | null)[]; filled: ReadonlySet<number> } {
  const lost = inputs.flatMap((input, index) =>
    input === null || missing.includes(index) ? [index] : [],
  );
  checkMissing([...missing, ...lost], inputs.length);
  if (model.hasMaskToken) {
    const complete = inputs.map((input, index) => (lost.includes(index) ? null : input));
    return { complete, filled: new Set() };
  }
  const present = inputs.find((_, index) => !lost.includes(index))!;
  const complete = inputs.map((input, index) => {
    if (!lost.includes(index)) return input;
    const generator =
      fill === 'noise'
        ? new torch.Generator(present.device).manualSeed(mixSeed(seed, index))
        : undefined;
    return fillModality(present, specs[index]!, fill, generator);
  });
  return { complete, filled: new Set(lost) };
}
