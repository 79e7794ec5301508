import * as nn from '../nn/index.js';
import type { Member } from '../nn/module.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { initialise, initialiseAsPyTorch } from './initialise.js';
import { ResNet, type ResNetLayers, type ResNetName, resnets } from './resnet.js';
import type { ParameterRole } from './segmentation-model.js';
import { selectRows } from './streams.js';
import { bilinear } from './upsample.js';

export interface RefineNetBodyOptions {
  backbone: ResNetName;
  /** M; 1 by default. */
  modalities?: number;
  numClasses: number;
  layers: ResNetLayers;
  /** On the two deepest features, and before the classifier. */
  dropout: number;
  generator?: torch.Generator;
}

/**
 * Residual units, each r = ReLU(x); x = r + conv2(ReLU(conv1(r))): the skip connection carries ReLU(x) and
 * not x, because the authors' ReLU works in place.
 */
class ResidualUnits extends nn.ModuleDict<nn.Layer> {
  constructor(width: number, count: number, conv: ResNetLayers['conv']) {
    const units = Array.from({ length: count }, (_, i) => [
      [`${i + 1}_conv`, conv(width, width, 3, { bias: true })],
      [`${i + 1}_conv_relu_varout_dimred`, conv(width, width, 3)],
    ]);
    super(Object.fromEntries(units.flat()));
  }

  override forward(x: Tensor): Tensor {
    const convs = this.values();
    let out = x;
    for (let i = 0; i < convs.length; i += 2) {
      const rectified = torch.relu(out);
      const hidden = torch.relu(convs[i]!.forward(rectified));
      out = rectified.add(convs[i + 1]!.forward(hidden));
    }
    return out;
  }
}

/** Chained residual pooling: four times top = conv(max of 5×5 of top), x = x + top. */
class ChainedPooling extends nn.ModuleDict<nn.Layer> {
  constructor(width: number, conv: ResNetLayers['conv']) {
    const convs = [1, 2, 3, 4].map((i) => [`${i}_outvar_dimred`, conv(width, width, 3)]);
    super(Object.fromEntries(convs));
  }

  override forward(x: Tensor): Tensor {
    let [top, out] = [x, x];
    for (const conv of this.values()) {
      top = conv.forward(nn.functional.maxPool2d(top, 5, { stride: 1, padding: 2 }));
      out = out.add(top);
    }
    return out;
  }
}

/** What refines one feature with what comes from the stage before, which is deeper. */
interface RefineStage {
  /** Of the feature, to the stage's width. */
  reduce: nn.Layer;
  adapt: nn.Layer;
  /** Before what comes from the stage before is added; null in the first stage. */
  join: nn.Layer | null;
  pool: nn.Layer;
  refine: nn.Layer;
  /** To the width of the next stage; null in the last. */
  next: nn.Layer | null;
}

/**
 * RefineNet (Lin et al., RefineNet: Multi-path refinement networks, 2017) on a residual network: the
 * deepest feature is refined first, each stage adds the next shallower one. All modalities of a batch
 * share its convolutions. State-dict names are those of the authors of M3L, who have them from CEN's.
 */
export class RefineNetBody extends ResNet {
  readonly #stages: readonly RefineStage[];
  readonly clfConv: nn.Layer;
  /** Of the modalities' ensemble; null where there is one. */
  readonly alpha: Tensor | null;
  readonly dropout: nn.Dropout;
  readonly modalities: number;

  constructor(options: RefineNetBodyOptions) {
    const { backbone, layers, modalities = 1, numClasses, dropout } = options;
    super({ backbone, layers });
    for (const part of this.children()) initialise(part, options);
    const { conv } = layers;
    const [first, others] = resnets[backbone].bottleneck ? [512, 256] : [256, 64];
    const features = [...this.channels].reverse();
    this.#stages = features.map((channels, index) => {
      const width = index === 0 ? first : others;
      return {
        reduce: conv(channels, width, 3),
        adapt: new nn.Sequential(new ResidualUnits(width, 2, conv)),
        join: index === 0 ? null : conv(width, width, 3),
        pool: new nn.Sequential(new ChainedPooling(width, conv)),
        refine: new nn.Sequential(new ResidualUnits(width, 3, conv)),
        next: index === 3 ? null : conv(width, others, 3),
      };
    });
    this.clfConv = conv(others, numClasses, 3, { bias: true });
    this.dropout = new nn.Dropout(dropout);
    this.alpha = modalities > 1 ? nn.parameter(() => torch.ones([modalities])) : null;
    this.modalities = modalities;
    for (const part of this.#decoder()) initialiseAsPyTorch(part, options);
  }

  protected override members(): Member[] {
    // None yet while the encoder is made.
    const stages = (this.#stages ?? []).flatMap((stage, index) => {
      const g = index + 1;
      const named: [string, nn.Layer | null][] = [
        [`p_ims1d2_outl${g}_dimred`, stage.reduce],
        [`adapt_stage${g}_b`, stage.adapt],
        [`adapt_stage${g}_b2_joint_varout_dimred`, stage.join],
        [`mflow_conv_g${g}_pool`, stage.pool],
        [`mflow_conv_g${g}_b`, stage.refine],
        [`mflow_conv_g${g}_b3_joint_varout_dimred`, stage.next],
      ];
      return named.flatMap(([name, layer]): Member[] => (layer ? [[name, layer, () => {}]] : []));
    });
    return [...super.members(), ...stages];
  }

  /** What a parameter of this name counts as, for the models that hold this. */
  static roleOf(name: string): ParameterRole {
    if (name === 'model.alpha') return 'alpha';
    return /^model\.(conv1|bn1|layer\d)\./.test(name) ? 'encoder' : 'decoder';
  }

  /**
   * Images [M·B, 3, H, W], modality by modality, to logits [S·B, K, H/4, W/4] of the modalities
   * `streams`, S of them.
   */
  predict(images: Tensor, streams: readonly number[]): Tensor {
    const features = this.forward(images);
    const read = features.map((feature) => selectRows(feature, streams, this.modalities));
    return torch.scope(() => {
      let deeper: Tensor | null = null;
      let refined = read[3]!;
      for (const [index, stage] of this.#stages.entries()) {
        const feature = read[3 - index]!;
        const dropped = index < 2 ? this.dropout.forward(feature) : feature;
        refined = refine(stage, dropped, deeper);
        deeper = stage.next?.forward(refined) ?? null;
      }
      return this.clfConv.forward(this.dropout.forward(refined)).contiguous();
    });
  }

  #decoder(): nn.Module[] {
    const parts = this.#stages.flatMap((stage) => Object.values(stage) as (nn.Module | null)[]);
    return [...parts, this.clfConv].filter((part) => part !== null);
  }
}

/** a = adapt(reduce(feature)), with what comes from below; ReLU, pooling, refinement. */
function refine(stage: RefineStage, feature: Tensor, deeper: Tensor | null): Tensor {
  const adapted = stage.adapt.forward(stage.reduce.forward(feature));
  const joined =
    stage.join && deeper
      ? stage.join.forward(adapted).add(bilinear(deeper, sizeOf(adapted))(deeper))
      : adapted;
  return stage.refine.forward(stage.pool.forward(torch.relu(joined)));
}

function sizeOf(map: Tensor): [number, number] {
  return map.shape.slice(2) as [number, number];
}
