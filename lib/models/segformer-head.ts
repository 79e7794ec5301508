import * as nn from '../nn/index.js';
import { checkArguments } from '../torch/check-arguments.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { asImage, asTokens, type Feature } from './mit.js';
import { segformerHeadOptionsShape } from './rules.js';

/** What `SegformerHead` takes by name. */
export interface SegformerHeadOptions {
  /** C of the four stages. */
  channels: readonly number[];
  numClasses: number;
  /** Width of the decoder; 256 by default. */
  width?: number;
  /** Dropout2d before the prediction. */
  dropout?: number;
  /** Keep the BatchNorm at its running statistics in training too (m3l.md section 5). */
  freezeBatchNorm?: boolean;
}

/**
 * The sum of maps of tokens [B, N_i, C], upsampled bilinearly (align_corners false) to the grid of the
 * first; with `relu`, what of it is above 0.
 */
export function upsampleSum(base: Feature, maps: readonly Feature[], relu: boolean): Feature {
  const { tokens, height, width } = base;
  const sizes = maps.flatMap((map) => [map.height, map.width]);
  const given = maps.map((map) => map.tokens);
  const sum = torch.ops.m3l!.upsample_sum!(tokens, given, sizes, height, width, relu) as Tensor;
  return { tokens: sum, height, width };
}

class Projection extends nn.Module {
  readonly proj: nn.Linear;

  constructor(channels: number, width: number) {
    super();
    this.proj = new nn.Linear(channels, width);
  }

  override forward(tokens: Tensor): Tensor {
    return this.proj.forward(tokens);
  }
}

class Fuse extends nn.Module {
  readonly conv: nn.Conv2d;
  readonly bn: nn.BatchNorm2d;

  constructor(width: number, frozen: boolean) {
    super();
    this.conv = new nn.Conv2d(4 * width, width, 1, { bias: false });
    this.bn = new nn.BatchNorm2d(width, { frozen });
  }

  override forward(image: Tensor): Tensor {
    return torch.relu(this.bn.forward(this.conv.forward(image)));
  }
}

/**
 * The all-MLP head of SegFormer (m3l.md section 3): each stage -> Linear -> upsampled to stage 1 ->
 * concatenated (c4, c3, c2, c1) -> 1×1 convolution, BatchNorm, ReLU -> Dropout2d -> 1×1 convolution.
 *
 * Computed in another order that gives the same numbers up to rounding. Bilinear upsampling keeps
 * constants and acts on each channel alone, so it commutes with 1×1 convolutions: the fusing
 * convolution (and a frozen BatchNorm's scale) is composed with each stage's Linear, and applied at
 * the stage's own resolution; upsampled maps are added where the original concatenates.
 */
export class SegformerHead extends nn.Module {
  readonly linearC1: Projection;
  readonly linearC2: Projection;
  readonly linearC3: Projection;
  readonly linearC4: Projection;
  readonly linearFuse: Fuse;
  readonly dropout: nn.Dropout2d;
  readonly linearPred: nn.Conv2d;
  readonly width: number;

  constructor(options: SegformerHeadOptions) {
    super();
    checkArguments('SegformerHead', { options }, { options: segformerHeadOptionsShape });

    const { channels, numClasses, width = 256, dropout = 0, freezeBatchNorm = true } = options;
    const [c1, c2, c3, c4] = channels as [number, number, number, number];
    this.width = width;
    this.linearC4 = new Projection(c4, width);
    this.linearC3 = new Projection(c3, width);
    this.linearC2 = new Projection(c2, width);
    this.linearC1 = new Projection(c1, width);
    this.linearFuse = new Fuse(width, freezeBatchNorm);
    this.linearPred = new nn.Conv2d(width, numClasses, 1);
    this.dropout = new nn.Dropout2d(dropout);
  }

  /** Four stages of tokens [B, N_i, C_i] to logits [B, K, H_1, W_1]. */
  override forward(features: readonly Feature[]): Tensor {
    const [c1, c2, c3, c4] = features as [Feature, Feature, Feature, Feature];
    const { bn, conv } = this.linearFuse;
    let fuse = conv.weight.flatten(1); // [width, 4 · width]
    let bias: Tensor | null = null;
    if (!bn.usesBatchStatistics) {
      const [scale, shift] = bn.scaleAndShift();
      fuse = fuse.mul(scale.unsqueeze(1));
      bias = shift;
    }

    // Each [width, width].
    const [f4, f3, f2, f1] = fuse.split(this.width, 1) as [Tensor, Tensor, Tensor, Tensor];
    const projections = [this.linearC4, this.linearC3, this.linearC2, this.linearC1];
    // Linear's biases go through the fusing convolution once for all four.
    const biases = torch.cat(projections.map(({ proj }) => proj.bias!)); // [4 · width]
    bias = bias ? torch.addmv(bias, fuse, biases) : fuse.mv(biases);

    // [B, N_i, C_i] -> [B, N_i, width]
    const project = ({ tokens }: Feature, slice: Tensor, to: Projection, bias?: Tensor) =>
      nn.linear(tokens, slice.mm(to.proj.weight), bias);
    const frozen = !bn.usesBatchStatistics;
    // The bias of all goes in where the map is smallest.
    const sum = torch.scope(() =>
      upsampleSum(
        { ...c1, tokens: project(c1, f1, this.linearC1) },
        [
          { ...c2, tokens: project(c2, f2, this.linearC2) },
          { ...c3, tokens: project(c3, f3, this.linearC3) },
          { ...c4, tokens: project(c4, f4, this.linearC4, bias) },
        ],
        frozen,
      ),
    );
    return this.#predict(frozen ? sum : asTokens(torch.relu(bn.forward(asImage(sum)))));
  }

  /**
   * Dropout2d and the last convolution, the dropped channels dropped from its weights: the map of
   * `width` channels is read once, and its gradient comes in the layout that the map has.
   */
  #predict({ tokens, height, width }: Feature): Tensor {
    const { weight, bias } = this.linearPred;
    const [batch, , channels] = tokens.shape as [number, number, number];
    const kernel = weight.flatten(1); // [K, C]
    const factors = this.dropout.channelFactors(batch, channels, tokens); // [B, 1, C]
    const logits = factors
      ? torch.baddbmm(bias!, tokens, kernel.mul(factors).transpose(1, 2))
      : nn.linear(tokens, kernel, bias); // [B, N, K]
    return logits.transpose(1, 2).contiguous().unflatten(2, [height, width]);
  }
}
