import * as nn from '../nn/index.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { ModalityBatchNorm } from './modality-batch-norm.js';
import { ModelError } from './segmentation-model.js';
import { SharedLayer } from './shared-layer.js';

/**
 * Residual networks (He et al., Deep Residual Learning for Image Recognition, 2016) as encoders: no
 * pooling and no classifier at the end. State-dict names are torchvision's. The layers they are made of
 * are given, so that the modalities of a batch [M·B, …] can share convolutions and have norms of their
 * own (`sharedLayers`).
 */
export const resnets = {
  resnet18: { bottleneck: false, depths: [2, 2, 2, 2] },
  resnet34: { bottleneck: false, depths: [3, 4, 6, 3] },
  resnet50: { bottleneck: true, depths: [3, 4, 6, 3] },
  resnet101: { bottleneck: true, depths: [3, 4, 23, 3] },
} as const;
/** An encoder of ResNets, as configurations name it. */
export type ResNetName = keyof typeof resnets;
/** Every ResNet, small to large. */
export const resnetNames = Object.keys(resnets) as ResNetName[];

const WIDTHS = [64, 128, 256, 512] as const;
/** How much wider what a bottleneck gives is than its own convolution. */
const EXPANSION = 4;

interface ConvOptions {
  stride?: number;
  dilation?: number;
  bias?: boolean;
}

/** What a network of several modalities, or of one, is made of. */
export interface ResNetLayers {
  /** A convolution that keeps the size, but for its stride; without bias unless said. */
  conv(inChannels: number, outChannels: number, kernel: number, options?: ConvOptions): nn.Layer;
  norm(channels: number): nn.Layer;
  /** The second norm of a block; the same by default. */
  secondNorm?(channels: number): nn.Layer;
}

function conv2d(
  inChannels: number,
  outChannels: number,
  kernel: number,
  { stride = 1, dilation = 1, bias = false }: ConvOptions = {},
): nn.Conv2d {
  const padding = (dilation * (kernel - 1)) / 2;
  return new nn.Conv2d(inChannels, outChannels, kernel, { stride, padding, dilation, bias });
}

/** Of one modality, by torchvision's names. */
export function plainLayers({ frozen }: { frozen: boolean }): ResNetLayers {
  return { conv: conv2d, norm: (channels) => new nn.BatchNorm2d(channels, { frozen }) };
}

/** Convolutions that all modalities share, and BatchNorms of their own: `….module`, `….bn_0`, …. */
export function sharedLayers(options: { modalities: number; frozen: boolean }): ResNetLayers {
  return {
    conv: (...args) => new SharedLayer(conv2d(...args)),
    norm: (channels) => new ModalityBatchNorm(channels, options),
  };
}

interface BlockShape {
  inChannels: number;
  width: number;
  stride: number;
  dilation: number;
}

abstract class ResidualBlock extends nn.Module {
  readonly downsample: nn.Sequential | null;

  constructor({ inChannels, stride }: BlockShape, outChannels: number, layers: ResNetLayers) {
    super();
    const same = stride === 1 && inChannels === outChannels;
    this.downsample = same
      ? null
      : new nn.Sequential(
          layers.conv(inChannels, outChannels, 1, { stride }),
          layers.norm(outChannels),
        );
  }

  /** What is added to the block's input. */
  protected abstract residual(x: Tensor): Tensor;

  override forward(x: Tensor): Tensor {
    const shortcut = this.downsample?.forward(x) ?? x;
    return torch.relu(this.residual(x).add(shortcut));
  }
}

/** Two 3×3 convolutions. */
class BasicBlock extends ResidualBlock {
  readonly conv1: nn.Layer;
  readonly bn1: nn.Layer;
  readonly conv2: nn.Layer;
  readonly bn2: nn.Layer;

  constructor(shape: BlockShape, layers: ResNetLayers) {
    const { inChannels, width, stride, dilation } = shape;
    super(shape, width, layers);
    this.conv1 = layers.conv(inChannels, width, 3, { stride, dilation });
    this.bn1 = layers.norm(width);
    this.conv2 = layers.conv(width, width, 3, { dilation });
    this.bn2 = (layers.secondNorm ?? layers.norm)(width);
  }

  protected override residual(x: Tensor): Tensor {
    const hidden = torch.relu(this.bn1.forward(this.conv1.forward(x)));
    return this.bn2.forward(this.conv2.forward(hidden));
  }
}

/** A 3×3 convolution between two 1×1 ones. */
class Bottleneck extends ResidualBlock {
  readonly conv1: nn.Layer;
  readonly bn1: nn.Layer;
  readonly conv2: nn.Layer;
  readonly bn2: nn.Layer;
  readonly conv3: nn.Layer;
  readonly bn3: nn.Layer;

  constructor(shape: BlockShape, layers: ResNetLayers) {
    const { inChannels, width, stride, dilation } = shape;
    super(shape, EXPANSION * width, layers);
    this.conv1 = layers.conv(inChannels, width, 1);
    this.bn1 = layers.norm(width);
    this.conv2 = layers.conv(width, width, 3, { stride, dilation });
    this.bn2 = (layers.secondNorm ?? layers.norm)(width);
    this.conv3 = layers.conv(width, EXPANSION * width, 1);
    this.bn3 = layers.norm(EXPANSION * width);
  }

  protected override residual(x: Tensor): Tensor {
    const reduced = torch.relu(this.bn1.forward(this.conv1.forward(x)));
    const hidden = torch.relu(this.bn2.forward(this.conv2.forward(reduced)));
    return this.bn3.forward(this.conv3.forward(hidden));
  }
}

/** Blocks one after another; each is scoped by itself, so that its activations go at once. */
class Stage extends nn.Sequential {
  override forward(x: Tensor): Tensor {
    let out = x;
    for (const block of this) {
      const before = out;
      out = torch.scope(() => block.forward(before));
      if (before !== x) before.dispose();
    }
    return out;
  }
}

export interface ResNetOptions {
  backbone: ResNetName;
  layers: ResNetLayers;
  /** Stride 16 instead of 32: the last stage keeps the size, and block k is dilated by 2^(k + 1). */
  dilated?: boolean;
  /** Three 3×3 convolutions to 64, 64 and 128 in place of one of 7×7. */
  deepStem?: boolean;
}

export class ResNet extends nn.Module {
  readonly conv1: nn.Layer;
  readonly bn1: nn.Layer;
  readonly layer1: nn.Layer;
  readonly layer2: nn.Layer;
  readonly layer3: nn.Layer;
  readonly layer4: nn.Layer;
  /** C of the four stages. */
  readonly channels: readonly number[];

  /** @throws {ModelError} `M3L_MODEL_UNKNOWN` */
  constructor({ backbone, layers, dilated = false, deepStem = false }: ResNetOptions) {
    super();
    if (!Object.hasOwn(resnets, backbone)) {
      throw new ModelError(
        'M3L_MODEL_UNKNOWN',
        `No backbone '${backbone}', expected one of ${resnetNames.join(', ')}.`,
      );
    }
    const { bottleneck, depths } = resnets[backbone];
    const Block = bottleneck ? Bottleneck : BasicBlock;
    const stem = deepStem ? 128 : 64;
    this.channels = WIDTHS.map((width) => (bottleneck ? EXPANSION * width : width));
    const stage = (index: number) => {
      const width = WIDTHS[index]!;
      const isDilated = dilated && index === 3;
      const blocks = Array.from({ length: depths[index]! }, (_, k) => {
        const inChannels = this.channels[k > 0 ? index : index - 1] ?? stem;
        const stride = k > 0 || index === 0 || isDilated ? 1 : 2;
        const dilation = isDilated ? 2 ** (k + 1) : 1;
        return new Block({ inChannels, width, stride, dilation }, layers);
      });
      return new Stage(...blocks);
    };
    this.conv1 = deepStem ? createDeepStem(layers) : layers.conv(3, 64, 7, { stride: 2 });
    this.bn1 = layers.norm(stem);
    this.layer1 = stage(0);
    this.layer2 = stage(1);
    this.layer3 = stage(2);
    this.layer4 = stage(3);
  }

  /** Images [B, 3, H, W] to four features [B, C_i, H_i, W_i], at strides 4, 8, 16 and 32 (or 16). */
  override forward(images: Tensor): Tensor[] {
    const stem = torch.scope(() => {
      const hidden = torch.relu(this.bn1.forward(this.conv1.forward(images)));
      return nn.functional.maxPool2d(hidden, 3, { stride: 2, padding: 1 });
    });
    const l1 = this.layer1.forward(stem);
    const l2 = this.layer2.forward(l1);
    const l3 = this.layer3.forward(l2);
    return [l1, l2, l3, this.layer4.forward(l3)];
  }
}

/** What comes before the norm of the stem. */
function createDeepStem({ conv, norm }: ResNetLayers): nn.Sequential {
  return new nn.Sequential(
    conv(3, 64, 3, { stride: 2 }),
    norm(64),
    new nn.ReLU(),
    conv(64, 64, 3),
    norm(64),
    new nn.ReLU(),
    conv(64, 128, 3),
  );
}
