import * as nn from '../nn/index.js';
import type { AutocastDType, Tensor } from '../torch/index.js';
import { initialise } from './initialise.js';
import type { LinearFusionOptions } from './linear-fusion.js';
import { leastSide, MixTransformer } from './mit.js';
import { SegformerHead } from './segformer-head.js';
import {
  atPrecision,
  checkInputs,
  type ForwardOptions,
  type Head,
  ModelError,
  type Prediction,
  type SegmentationModel,
} from './segmentation-model.js';
import { predictAll, streamsOf } from './streams.js';
import { bilinear } from './upsample.js';

export type SegformerOptions = Omit<
  LinearFusionOptions,
  'fusionRatio' | 'maskToken' | 'maskTokenStd'
>;

/**
 * SegFormer (Xie et al., 2021) for one modality: Linear Fusion's encoder with M = 1 and its head.
 * State-dict names are Linear Fusion's too (`….module.…`, `….ln_0.…`), without `alpha`; adapters
 * bring foreign checkpoints to them.
 */
export class Segformer extends nn.Module implements SegmentationModel {
  readonly encoder: MixTransformer;
  readonly decoder: SegformerHead;
  readonly modalities = 1;
  readonly numClasses: number;
  readonly hasMaskToken = false;
  readonly leastSide = leastSide;
  precision: AutocastDType = 'float32';

  constructor(options: SegformerOptions) {
    super();
    const { backbone = 'mit-b2', numClasses, dropPath = 0.1, dropout = 0.1 } = options;
    if ((options.modalities ?? 1) !== 1) {
      throw new ModelError(
        'M3L_MODEL_MODALITIES',
        `segformer: ${options.modalities} modalities, expected 1. Use linear-fusion for more.`,
      );
    }
    this.numClasses = numClasses;
    this.encoder = new MixTransformer({
      backbone,
      dropPath,
      layerNormEps: options.layerNormEps,
    });
    this.decoder = new SegformerHead({
      channels: this.encoder.channels,
      numClasses,
      dropout,
      width: options.decoderWidth,
      freezeBatchNorm: options.freezeBatchNorm,
    });
    initialise(this, options);
  }

  override forward(inputs: readonly (Tensor | null)[], options: ForwardOptions = {}): Prediction {
    return predictAll(this, inputs, options);
  }

  forwardHeads(
    inputs: readonly (Tensor | null)[],
    heads: readonly Head[],
    options: ForwardOptions = {},
  ): Tensor[] {
    const { height, width } = checkInputs(inputs, 1, options, this);
    streamsOf(heads, 1);
    const logits = atPrecision(this.precision, inputs, () =>
      this.decoder.forward(this.encoder.forward(inputs)),
    );
    const prediction =
      options.upsample === false ? logits : bilinear(logits, [height, width])(logits);
    return heads.map(() => prediction);
  }
}
