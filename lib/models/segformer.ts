import { z } from 'zod';
import * as nn from '../nn/index.js';
import { checkArguments } from '../torch/check-arguments.js';
import type { AutocastDType, Tensor } from '../torch/index.js';
import { requireOneModality } from './count-modalities.js';
import { defineModel } from './descriptor.js';
import type { FusionModelOptions } from './fusion-model.js';
import { initialise } from './initialise.js';
import { leastSide, MixTransformer } from './mit.js';
import { dropout, mitKeys } from './option-keys.js';
import { predictStreams } from './predict-streams.js';
import { segformerOptionsShape } from './rules.js';
import { SegformerHead } from './segformer-head.js';
import type { ForwardOptions, Head, Prediction, StreamedModel } from './segmentation-model.js';
import { asPrediction, everyHead } from './streams.js';

/** What `Segformer` takes by name. */
export type SegformerOptions = Omit<FusionModelOptions, 'ensemble' | 'maskToken' | 'maskTokenStd'>;

/**
 * SegFormer (Xie et al., 2021) for one modality: Linear Fusion's encoder with M = 1 and its head.
 * State-dict names are Linear Fusion's too (`….module.…`, `….ln_0.…`), without `alpha`; adapters
 * bring foreign checkpoints to them.
 */
export class Segformer extends nn.Module implements StreamedModel {
  readonly streamed = true;
  readonly encoder: MixTransformer;
  readonly decoder: SegformerHead;
  readonly modalities = 1;
  readonly numClasses: number;
  readonly hasMaskToken = false;
  readonly leastSide = leastSide;
  precision: AutocastDType = 'float32';

  constructor(options: SegformerOptions) {
    super();
    checkArguments('Segformer', { options }, { options: segformerOptionsShape });

    const { backbone = 'mit-b2', numClasses, dropPath = 0.1 } = options;
    requireOneModality('segformer', options.modalities);
    this.numClasses = numClasses;
    this.encoder = new MixTransformer({
      backbone,
      dropPath,
      layerNormEps: options.layerNormEps,
    });
    this.decoder = new SegformerHead({
      channels: this.encoder.channels,
      numClasses,
      dropout: options.dropout ?? 0.1,
      width: options.decoderWidth,
      freezeBatchNorm: options.freezeBatchNorm,
    });
    initialise(this, options);
  }

  override forward(inputs: readonly (Tensor | null)[], options: ForwardOptions = {}): Prediction {
    return asPrediction(this.forwardHeads(inputs, everyHead(1), options));
  }

  forwardHeads(
    inputs: readonly (Tensor | null)[],
    heads: readonly Head[],
    options: ForwardOptions = {},
  ): Tensor[] {
    return predictStreams(this, inputs, heads, options).logits;
  }
}

export const segformerModel = defineModel({
  name: 'segformer',
  summary: 'one modality alone: the baseline that the others are measured against',
  modalities: { least: 1, most: 1 },
  leastSide,
  maskToken: false,
  options: z.object({ ...mitKeys, dropout: dropout(0.1) }),
  create: (options: SegformerOptions) => new Segformer(options),
});
