import { z } from 'zod';
import * as nn from '../nn/index.js';
import { checkArguments } from '../torch/check-arguments.js';
import type * as torch from '../torch/index.js';
import type { Tensor } from '../torch/index.js';
import { requireOneModality } from './count-modalities.js';
import { defineModel, type ModelInput } from './descriptor.js';
import { dropout, resnetBackbone } from './option-keys.js';
import { predictHeads } from './predict-streams.js';
import { RefineNetBody } from './refinenet-body.js';
import { type ResNetName, sharedLayers } from './resnet.js';
import { sharedResNet } from './resnet-weights.js';
import { modelInputShape } from './rules.js';
import type {
  ForwardOptions,
  Head,
  ParameterRole,
  Prediction,
  SegmentationModel,
} from './segmentation-model.js';
import { asPrediction, everyHead } from './streams.js';

/** What `RefineNet` takes by name. */
export interface RefineNetOptions extends ModelInput {
  backbone?: ResNetName;
  /** On the two deepest features, and before the classifier; 0.5 by default. */
  dropout?: number;
}

/** RefineNet (Lin et al., 2017) for one modality: what channel exchange is built on. See `RefineNetBody`. */
export class RefineNet extends nn.Module implements SegmentationModel {
  readonly model: RefineNetBody;
  readonly modalities = 1;
  readonly numClasses: number;
  readonly hasMaskToken = false;
  readonly leastSide = 1;
  precision: torch.AutocastDType = 'float32';

  constructor(options: RefineNetOptions) {
    super();
    checkArguments('RefineNet', { options }, { options: modelInputShape });
    const { backbone = 'resnet50', numClasses, freezeBatchNorm = false } = options;
    requireOneModality('refinenet', options.modalities, 'channel-exchange');
    this.numClasses = numClasses;
    const layers = sharedLayers({ modalities: 1, frozen: freezeBatchNorm });
    this.model = new RefineNetBody({
      backbone,
      numClasses,
      layers,
      dropout: options.dropout ?? 0.5,
      generator: options.generator,
    });
  }

  roleOf(name: string): ParameterRole {
    return RefineNetBody.roleOf(name);
  }

  /** Of torchvision's names, the encoder's own. */
  ownEncoder(shared: nn.StateDict): nn.StateDict {
    return sharedResNet(shared, { prefix: 'model.', modalities: 1 });
  }

  override forward(inputs: readonly (Tensor | null)[], options: ForwardOptions = {}): Prediction {
    return asPrediction(this.forwardHeads(inputs, everyHead(1), options));
  }

  forwardHeads(
    inputs: readonly (Tensor | null)[],
    heads: readonly Head[],
    options: ForwardOptions = {},
  ): Tensor[] {
    const compute = (streams: readonly number[]) => {
      return { predictions: this.model.predict(inputs[0]!, streams) };
    };
    return predictHeads(this, inputs, heads, options, compute).logits;
  }
}

export const refineNetModel = defineModel({
  name: 'refinenet',
  summary: 'one modality alone, by convolutions: what channel exchange is measured against',
  modalities: { least: 1, most: 1 },
  leastSide: 1,
  maskToken: false,
  freezeBatchNorm: false,
  options: z.object({ backbone: resnetBackbone, dropout: dropout(0.5) }),
  create: (options: RefineNetOptions) => new RefineNet(options),
});
