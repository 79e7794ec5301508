import { checkArguments } from '../torch/check-arguments.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import * as is from '../torch/rules.js';
import { rememberShares, votesOf } from './ensemble.js';
import { checkInputs } from './missing-modalities/inputs.js';
import { embedWithMaskToken } from './missing-modalities/mask-token.js';
import { streamedModelShape } from './rules.js';
import type { EnsembleModel, ForwardOptions, Head, StreamedModel } from './segmentation-model.js';
import { logitsOf, selectStreams, streamsOf, votersOf } from './streams.js';

/** What a forward pass gives. */
export interface Predicted {
  /** Of the heads asked for, [B,K,H,W] or at a quarter of that. */
  logits: Tensor[];
  /** See `Prediction`. */
  penalty?: Tensor | undefined;
}

/**
 * The forward pass of a model that has a prediction for each modality and of these an ensemble, around
 * what makes the predictions.
 * @param inputs M × [B,3,H,W]; null: missing
 * @param compute gives the predictions [S·B, K, H/4, W/4] of the modalities `streams`, S of them
 */
export function predictHeads(
  model: EnsembleModel,
  inputs: readonly (Tensor | null)[],
  heads: readonly Head[],
  options: ForwardOptions,
  compute: (streams: readonly number[]) => { predictions: Tensor; penalty?: Tensor | undefined },
): Predicted {
  const { modalities: M, precision } = model;
  const { height, width } = checkInputs(inputs, M, options, model);
  const votes = votesOf(inputs, options, model.ensemble);
  const streams = streamsOf(heads, M, votes);
  const { device } = inputs.find((input) => input !== null)!;
  const { predictions, penalty } =
    precision === 'float32'
      ? compute(streams)
      : torch.autocast({ dtype: precision, device }, () => compute(streams));

  const wide = precision === 'float32' ? predictions : predictions.to('float32');
  if (model.training && model.headShares && streams.length === M) {
    const group = model.statisticsGroup ?? null;
    rememberShares(model.headShares, votersOf(wide, streams, votes), votes, group);
  }
  const size: [number, number] | null = options.upsample === false ? null : [height, width];
  return { logits: logitsOf(wide, { heads, streams, votes, size, model }), penalty };
}

/**
 * The forward pass of Linear Fusion, and of every model that differs in its fusion alone (with one
 * modality: SegFormer).
 * @param inputs M × [B,3,H,W]; null: missing
 */
export function predictStreams(
  model: StreamedModel,
  inputs: readonly (Tensor | null)[],
  heads: readonly Head[],
  options: ForwardOptions,
): Predicted {
  checkArguments(
    'predictStreams',
    { model, inputs, heads, options },
    {
      model: streamedModelShape,
      inputs: is.listOf(is.orNull(is.tensor)),
      heads: is.listOf(is.either(is.finite, is.text)),
      options: is.record,
    },
  );

  const { encoder, decoder, modalities: M } = model;
  return predictHeads(model, inputs, heads, options, (streams) => {
    // The mask token stands for the tokens of what is missing (section 4); the blocks fuse (2).
    const { maskToken } = encoder.patchEmbed1;
    const { features, penalty } = encoder.forward(() =>
      embedWithMaskToken(inputs, options, maskToken, (images, present) =>
        encoder.patchEmbed1.forward(images, present),
      ),
    );
    // The same head for each modality's features, by themselves (section 3).
    const read = features.map((feature) => selectStreams(feature, streams, M));
    return { predictions: decoder.forward(read), penalty };
  });
}
