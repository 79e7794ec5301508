import { z } from 'zod';
import * as nn from '../nn/index.js';
import { checkArguments } from '../torch/check-arguments.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { requireOneModality } from './count-modalities.js';
import { defineModel, type ModelInput } from './descriptor.js';
import { initialise, initialiseByFanIn } from './initialise.js';
import { resnetBackbone } from './option-keys.js';
import { predictHeads } from './predict-streams.js';
import { plainLayers, ResNet, type ResNetLayers, type ResNetName, resnets } from './resnet.js';
import { plainResNet } from './resnet-weights.js';
import { modelInputShape } from './rules.js';
import type {
  ForwardOptions,
  Head,
  ParameterRole,
  Prediction,
  SegmentationModel,
} from './segmentation-model.js';
import { asPrediction, everyHead } from './streams.js';
import { bilinear } from './upsample.js';

/** What `DeepLabV3Plus` takes by name. */
export interface DeepLabV3PlusOptions extends ModelInput {
  backbone?: ResNetName;
}

/** Width of the pyramid and of the head. */
const WIDTH = 256;
const DILATIONS = [6, 12, 18];

const leaky = (x: Tensor) => nn.functional.leakyRelu(x, { negativeSlope: 0.01 });

/** Atrous spatial pyramid pooling: what lies around a place, near and far, and the mean of all. */
class SpatialPyramid extends nn.Module {
  readonly mapConvs: nn.ModuleList<nn.Layer>;
  readonly mapBn: nn.Layer;
  readonly globalPoolingConv: nn.Layer;
  readonly globalPoolingBn: nn.Layer;
  readonly redConv: nn.Layer;
  readonly poolRedConv: nn.Layer;
  readonly redBn: nn.Layer;

  constructor(channels: number, { conv, norm }: ResNetLayers) {
    super();
    const dilated = DILATIONS.map((dilation) => conv(channels, WIDTH, 3, { dilation }));
    this.mapConvs = new nn.ModuleList([conv(channels, WIDTH, 1), ...dilated]);
    const maps = WIDTH * this.mapConvs.length;
    this.mapBn = norm(maps);
    this.globalPoolingConv = conv(channels, WIDTH, 1);
    this.globalPoolingBn = norm(WIDTH);
    this.redConv = conv(maps, WIDTH, 1);
    this.poolRedConv = conv(WIDTH, WIDTH, 1);
    this.redBn = norm(WIDTH);
  }

  override forward(x: Tensor): Tensor {
    const maps = torch.cat(
      [...this.mapConvs].map((conv) => conv.forward(x)),
      1,
    );
    const local = this.redConv.forward(leaky(this.mapBn.forward(maps)));
    const mean = this.globalPoolingConv.forward(x.mean([2, 3], true)); // [B, 256, 1, 1]
    const whole = this.poolRedConv.forward(leaky(this.globalPoolingBn.forward(mean)));
    return leaky(this.redBn.forward(local.add(whole)));
  }
}

/** The pyramid of the deepest feature, refined by the shallowest, which is four times as large. */
class DeepLabHead extends nn.Module {
  readonly aspp: SpatialPyramid;
  readonly reduce: nn.Sequential;
  readonly lastConv: nn.Sequential;

  constructor(channels: readonly number[], layers: ResNetLayers) {
    super();
    const { conv, norm } = layers;
    const detail = 48;
    this.aspp = new SpatialPyramid(channels[3]!, layers);
    this.reduce = new nn.Sequential(conv(channels[0]!, detail, 1), norm(detail), new nn.ReLU());
    this.lastConv = new nn.Sequential(
      conv(WIDTH + detail, WIDTH, 3),
      norm(WIDTH),
      new nn.ReLU(),
      conv(WIDTH, WIDTH, 3),
      norm(WIDTH),
      new nn.ReLU(),
    );
  }

  override forward([shallow, , , deep]: readonly Tensor[]): Tensor {
    const detail = this.reduce.forward(shallow!);
    const pyramid = this.aspp.forward(deep!);
    const size = detail.shape.slice(2) as [number, number];
    return this.lastConv.forward(torch.cat([bilinear(pyramid, size)(pyramid), detail], 1));
  }
}

/**
 * DeepLabV3+ (Chen et al., Encoder-decoder with atrous separable convolution, 2018) for one modality, as
 * the authors of M3L compare with it: without separable convolutions, on a dilated residual network of
 * stride 16. State-dict names are theirs, of the backbone torchvision's.
 */
export class DeepLabV3Plus extends nn.Module implements SegmentationModel {
  readonly backbone: ResNet;
  readonly head: DeepLabHead;
  readonly classifier: nn.Conv2d;
  readonly modalities = 1;
  readonly numClasses: number;
  readonly hasMaskToken = false;
  readonly leastSide = 1;
  precision: torch.AutocastDType = 'float32';

  constructor(options: DeepLabV3PlusOptions) {
    super();
    checkArguments('DeepLabV3Plus', { options }, { options: modelInputShape });
    const { backbone = 'resnet50', numClasses, freezeBatchNorm = false } = options;
    requireOneModality('deeplabv3plus', options.modalities);
    this.numClasses = numClasses;
    const layers = plainLayers({ frozen: freezeBatchNorm });
    const deepStem = resnets[backbone]?.bottleneck;
    this.backbone = new ResNet({ backbone, layers, dilated: true, deepStem });
    this.head = new DeepLabHead(this.backbone.channels, layers);
    this.classifier = new nn.Conv2d(WIDTH, numClasses, 1);
    initialise(this.backbone, options);
    initialiseByFanIn(this.head, options);
    initialiseByFanIn(this.classifier, options);
  }

  /** As the authors': all norms and biases are in the group of the encoder's norms. */
  roleOf(name: string, { ndim }: Tensor): ParameterRole {
    if (ndim === 1) return 'encoder-norm';
    return name.startsWith('backbone.') ? 'encoder' : 'decoder';
  }

  /** Of torchvision's names, the encoder's own; the deep stem of ResNet-50 and 101 has no weights there. */
  ownEncoder(shared: nn.StateDict): nn.StateDict {
    return plainResNet(shared, 'backbone.');
  }

  override forward(inputs: readonly (Tensor | null)[], options: ForwardOptions = {}): Prediction {
    return asPrediction(this.forwardHeads(inputs, everyHead(1), options));
  }

  forwardHeads(
    inputs: readonly (Tensor | null)[],
    heads: readonly Head[],
    options: ForwardOptions = {},
  ): Tensor[] {
    return predictHeads(this, inputs, heads, options, () => {
      const features = this.backbone.forward(inputs[0]!);
      const predictions = torch.scope(() => this.classifier.forward(this.head.forward(features)));
      return { predictions: predictions.contiguous() };
    }).logits;
  }
}

export const deepLabV3PlusModel = defineModel({
  name: 'deeplabv3plus',
  summary: 'one modality alone, by dilated convolutions',
  modalities: { least: 1, most: 1 },
  leastSide: 1,
  maskToken: false,
  freezeBatchNorm: false,
  options: z.object({ backbone: resnetBackbone }),
  create: (options: DeepLabV3PlusOptions) => new DeepLabV3Plus(options),
});
