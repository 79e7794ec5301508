import * as nn from '../nn/index.js';
import { checkArguments } from '../torch/check-arguments.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { attend } from './attend.js';
import { type CreateFusion, type Fusion, NoFusion } from './fusion.js';
import { createMaskToken } from './missing-modalities/mask-token.js';
import { addAndNormalise, ModalityNorm } from './modality-norm.js';
import { mixTransformerOptionsShape } from './rules.js';
import { ModelError } from './segmentation-model.js';
import { SharedLayer } from './shared-layer.js';

/**
 * Mix Transformer (Xie et al., SegFormer, 2021) for M ≥ 1 modalities: every weight is shared by the
 * modalities, every LayerNorm is one per modality (m3l.md section 1). The modalities travel as one
 * batch, modality by modality, so that each shared layer runs once. What couples them is a module of
 * its own, which each block calls: see {@link Fusion}.
 *
 * Shapes in names: R = M·B rows, N tokens, S of them after a reduction, C channels, h heads of D = C / h.
 */
export const backbones = {
  'mit-b0': { channels: [32, 64, 160, 256], depths: [2, 2, 2, 2] },
  'mit-b1': { channels: [64, 128, 320, 512], depths: [2, 2, 2, 2] },
  'mit-b2': { channels: [64, 128, 320, 512], depths: [3, 4, 6, 3] },
  'mit-b3': { channels: [64, 128, 320, 512], depths: [3, 4, 18, 3] },
  'mit-b4': { channels: [64, 128, 320, 512], depths: [3, 8, 27, 3] },
  'mit-b5': { channels: [64, 128, 320, 512], depths: [3, 6, 40, 3] },
} as const;
/** A MiT encoder, as configurations name it. */
export type Backbone = keyof typeof backbones;
/** Every MiT encoder, small to large. */
export const backboneNames = Object.keys(backbones) as Backbone[];

/** @throws {ModelError} `M3L_MODEL_UNKNOWN` */
export function backboneNamed(name: Backbone): (typeof backbones)[Backbone] {
  if (Object.hasOwn(backbones, name)) return backbones[name];
  throw new ModelError(
    'M3L_MODEL_UNKNOWN',
    `No backbone '${name}', expected one of ${backboneNames.join(', ')}.`,
  );
}

const heads = [1, 2, 5, 8];
const reductions = [8, 4, 2, 1];
const mlpRatio = 4;
/** Below this height or width the first stage, at stride 4, has no token for its reduction. */
export const leastSide = 4 * (reductions[0]! - 1) + 1;

/** Tokens [R, N, C] over a grid, N = height · width. */
export interface Feature {
  tokens: Tensor;
  height: number;
  width: number;
}

/** What `MixTransformer` takes by name. */
export interface MixTransformerOptions {
  backbone: Backbone;
  /** M; 1 by default. */
  modalities?: number;
  /** The largest rate of stochastic depth, that of the last block. */
  dropPath?: number;
  /** Whether there is a mask token (m3l.md section 4). */
  maskToken?: boolean;
  /** The fusion of each block; none by default. */
  fusion?: CreateFusion;
  /** 1e-6 by default, as NVIDIA and the authors; Hugging Face's SegFormer has 1e-5. */
  layerNormEps?: number;
}

/** Tokens as an image [.., C, H, W]: a view, in channels-last memory format. */
export function asImage({ tokens, height, width }: Feature): Tensor {
  return tokens.unflatten(1, [height, width]).permute([0, 3, 1, 2]);
}

/** An image [.., C, H, W] as tokens: a view where its memory is channels-last. */
export function asTokens(image: Tensor): Feature {
  const [, , height, width] = image.shape as [number, number, number, number];
  return { tokens: image.permute([0, 2, 3, 1]).flatten(1, 2), height, width };
}

/** Overlapping patches: a strided convolution, then a norm. */
export class PatchEmbed extends nn.Module {
  readonly proj: SharedLayer<nn.Conv2d>;
  readonly norm: ModalityNorm;
  readonly maskToken: Tensor | null;

  constructor(
    inChannels: number,
    channels: number,
    stride: number,
    options: MixTransformerOptions,
  ) {
    super();
    const kernel = 2 * stride - 1;
    const padding = stride - 1;
    this.proj = new SharedLayer(new nn.Conv2d(inChannels, channels, kernel, { stride, padding }));
    this.norm = new ModalityNorm(channels, options);
    // Only the first embedding's is ever used; the others are there for the authors' checkpoints.
    this.maskToken = options.maskToken ? createMaskToken(channels) : null;
  }

  /** [P·B, in, H, W] of the modalities `present` (default: all) to their tokens [P·B, N, C]. */
  override forward(images: Tensor, present?: readonly number[]): Feature {
    const { tokens, height, width } = asTokens(this.proj.forward(images));
    return { tokens: this.norm.forward(tokens, present), height, width };
  }
}

/** Efficient self-attention: keys and values from tokens reduced by a strided convolution. */
export class Attention extends nn.Module {
  readonly q: SharedLayer<nn.Linear>;
  readonly kv: SharedLayer<nn.Linear>;
  readonly proj: SharedLayer<nn.Linear>;
  readonly sr: SharedLayer<nn.Conv2d> | null = null;
  readonly norm: ModalityNorm | null = null;
  readonly heads: number;
  /** How many times fewer keys and values there are than tokens, in height and in width. */
  readonly reduction: number;

  constructor(channels: number, heads: number, reduction: number, options: MixTransformerOptions) {
    super();
    this.heads = heads;
    this.reduction = reduction;
    this.q = new SharedLayer(new nn.Linear(channels, channels));
    this.kv = new SharedLayer(new nn.Linear(channels, 2 * channels));
    this.proj = new SharedLayer(new nn.Linear(channels, channels));
    if (reduction > 1) {
      this.sr = new SharedLayer(
        new nn.Conv2d(channels, channels, reduction, { stride: reduction }),
      );
      this.norm = new ModalityNorm(channels, options);
    }
  }

  /** softmax(q·kᵀ / √D) · v of each head, projected: [R, N, C] to [R, N, C]. */
  override forward(feature: Feature): Tensor {
    const tokens_RNC = feature.tokens;
    const q_RhND = this.q.forward(tokens_RNC).unflatten(2, [this.heads, -1]).transpose(1, 2);
    const reduced_RSC =
      this.sr && this.norm
        ? this.norm.forward(asTokens(this.sr.forward(asImage(feature))).tokens)
        : tokens_RNC;
    const kv_RS2hD = this.kv.forward(reduced_RSC).unflatten(2, [2, this.heads, -1]);
    const [k_RhSD, v_RhSD] = kv_RS2hD.permute([2, 0, 3, 1, 4]).unbind(0) as [Tensor, Tensor];
    const attended_RNC = attend(q_RhND, k_RhSD, v_RhSD).transpose(1, 2).flatten(2);
    return this.proj.forward(attended_RNC);
  }
}

class DepthwiseConv extends nn.Module {
  readonly dwconv: nn.Conv2d;

  constructor(channels: number) {
    super();
    this.dwconv = new nn.Conv2d(channels, channels, 3, { padding: 1, groups: channels });
  }

  /** GELU of the convolution, in one pass over the tokens. */
  override forward({ tokens, height, width }: Feature): Tensor {
    const { weight, bias } = this.dwconv;
    return torch.ops.m3l!.token_dwconv_gelu!(tokens, weight, bias!, height, width) as Tensor;
  }
}

/**
 * Mix-FFN: Linear, depthwise 3×3 convolution with GELU, Linear. The convolution gives positions, so
 * that none need be encoded.
 */
export class MixFeedForward extends nn.Module {
  readonly fc1: SharedLayer<nn.Linear>;
  readonly dwconv: DepthwiseConv;
  readonly fc2: SharedLayer<nn.Linear>;

  constructor(channels: number) {
    super();
    this.fc1 = new SharedLayer(new nn.Linear(channels, mlpRatio * channels));
    this.dwconv = new DepthwiseConv(mlpRatio * channels);
    this.fc2 = new SharedLayer(new nn.Linear(mlpRatio * channels, channels));
  }

  override forward({ tokens, height, width }: Feature): Tensor {
    const [fc1, fc2] = [this.fc1.module, this.fc2.module];
    const { weight, bias } = this.dwconv.dwconv;
    return torch.ops.m3l!.mix_ffn!(
      tokens,
      fc1.weight,
      fc1.bias!,
      weight,
      bias!,
      fc2.weight,
      fc2.bias!,
      height,
      width,
    ) as Tensor;
  }
}

/** A stage's tokens between its blocks, with what the next layer reads: their norm. */
export interface NormalisedFeature extends Feature {
  normal: Tensor;
  /** What the block that gave it adds to the training loss. */
  penalty?: Tensor;
}

export class Block extends nn.Module {
  readonly norm1: ModalityNorm;
  readonly attn: Attention;
  readonly norm2: ModalityNorm;
  readonly mlp: MixFeedForward;
  readonly dropPath: nn.DropPath;
  readonly fusion: Fusion;

  constructor(stage: number, block: number, dropPath: number, options: MixTransformerOptions) {
    super();
    const { modalities = 1, fusion } = options;
    const channels = backbones[options.backbone].channels[stage]!;
    this.norm1 = new ModalityNorm(channels, options);
    this.attn = new Attention(channels, heads[stage]!, reductions[stage]!, options);
    this.norm2 = new ModalityNorm(channels, options);
    this.mlp = new MixFeedForward(channels);
    this.dropPath = new nn.DropPath(dropPath);
    this.fusion = fusion?.({ stage, block, channels, modalities }) ?? new NoFusion();
  }

  /**
   * x1 = x0 + dropPath(fuse(attention(norm1(x0)))), x2 = x1 + dropPath(mlp(norm2(x1))). Each sum is
   * made together with the norm that follows it: after x2 that is `next`.
   */
  override forward(
    { tokens: x0, normal, height, width }: NormalisedFeature,
    next: ModalityNorm,
  ): NormalisedFeature {
    const grid = { height, width };
    const sum = (x: Tensor, branch: Tensor, norm: ModalityNorm) => {
      const factors = this.dropPath.sampleFactors(x);
      return { x0: x, branch, factors, norm: norm.weights() };
    };
    const attended = this.attn.forward({ tokens: normal, ...grid });
    const fused = this.fusion.forward(sum(x0, attended, this.norm2));
    const mixed = this.mlp.forward({ tokens: fused.normal, ...grid });
    const { penalty } = fused;
    return { ...addAndNormalise(sum(fused.tokens, mixed, next)), ...grid, penalty };
  }
}

/** What a stage, or all four, give. */
export interface Encoded<T> {
  features: T;
  /** What fusions add to the training loss, a scalar; absent where none does. */
  penalty?: Tensor;
}

/** The encoder: four stages of patch embedding, blocks and a norm, at strides 4, 8, 16 and 32. */
export class MixTransformer extends nn.Module {
  readonly patchEmbed1: PatchEmbed;
  readonly patchEmbed2: PatchEmbed;
  readonly patchEmbed3: PatchEmbed;
  readonly patchEmbed4: PatchEmbed;
  readonly block1: nn.ModuleList<Block>;
  readonly block2: nn.ModuleList<Block>;
  readonly block3: nn.ModuleList<Block>;
  readonly block4: nn.ModuleList<Block>;
  readonly norm1: ModalityNorm;
  readonly norm2: ModalityNorm;
  readonly norm3: ModalityNorm;
  readonly norm4: ModalityNorm;
  /** C of the four stages. */
  readonly channels: readonly number[];
  readonly modalities: number;

  constructor(options: MixTransformerOptions) {
    super();
    checkArguments('MixTransformer', { options }, { options: mixTransformerOptionsShape });

    const { backbone, modalities = 1, dropPath = 0 } = options;
    const { channels, depths } = backboneNamed(backbone);
    this.channels = channels;
    this.modalities = modalities;
    const embed = (stage: number) =>
      new PatchEmbed(channels[stage - 1] ?? 3, channels[stage]!, stage === 0 ? 4 : 2, options);
    const last = depths.reduce((sum, depth) => sum + depth, 0) - 1;
    let index = 0;
    const blocks = (stage: number) =>
      new nn.ModuleList(
        Array.from(
          { length: depths[stage]! },
          (_, block) => new Block(stage, block, (dropPath * index++) / last, options),
        ),
      );
    const norm = (stage: number) => new ModalityNorm(channels[stage]!, options);
    this.patchEmbed1 = embed(0);
    this.patchEmbed2 = embed(1);
    this.patchEmbed3 = embed(2);
    this.patchEmbed4 = embed(3);
    this.block1 = blocks(0);
    this.norm1 = norm(0);
    this.block2 = blocks(1);
    this.norm2 = norm(1);
    this.block3 = blocks(2);
    this.norm3 = norm(2);
    this.block4 = blocks(3);
    this.norm4 = norm(3);
  }

  /**
   * The four stages' tokens, at strides 4, 8, 16 and 32.
   * @param embed gives what the first stage's blocks read: the images' first patch embedding, in
   *   which tokens of missing modalities may be replaced
   */
  override forward(embed: () => Feature): Encoded<Feature[]> {
    const patches = (patchEmbed: PatchEmbed, { features }: Encoded<Feature>) => {
      return () => patchEmbed.forward(asImage(features));
    };
    const c1 = stage(embed, this.block1, this.norm1);
    const c2 = stage(patches(this.patchEmbed2, c1), this.block2, this.norm2);
    const c3 = stage(patches(this.patchEmbed3, c2), this.block3, this.norm3);
    const c4 = stage(patches(this.patchEmbed4, c3), this.block4, this.norm4);
    const stages = [c1, c2, c3, c4];
    const features = stages.map((each) => each.features);
    const penalty = total(stages.map((each) => each.penalty));
    return { features, penalty };
  }
}

function stage(
  embed: () => Feature,
  blocks: Iterable<Block>,
  norm: ModalityNorm,
): Encoded<Feature> {
  const each = [...blocks];
  // That before each block, then the stage's own.
  const norms = [...each.map(({ norm1 }) => norm1), norm];
  return throughBlocks(
    () => {
      const embedded = embed();
      return { ...embedded, normal: norms[0]!.forward(embedded.tokens) };
    },
    each.map((block, i) => (feature: NormalisedFeature) => block.forward(feature, norms[i + 1]!)),
  );
}

/**
 * A stage's feature: the embedding through all blocks. Each is scoped by itself, so that its
 * activations go at once, save what a backward is going to read.
 */
export function throughBlocks(
  embed: () => NormalisedFeature,
  blocks: readonly ((feature: NormalisedFeature) => NormalisedFeature)[],
): Encoded<Feature> {
  let feature = torch.scope(embed);
  const penalties: (Tensor | undefined)[] = [];
  for (const block of blocks) {
    const before = feature;
    feature = torch.scope(() => block(before));
    torch.dispose([before.tokens, before.normal]);
    penalties.push(feature.penalty);
  }
  const { tokens, normal, height, width } = feature;
  tokens.dispose();
  return { features: { tokens: normal, height, width }, penalty: total(penalties) };
}

/** The sum of the scalars that are there; undefined where none is. */
function total(scalars: readonly (Tensor | undefined)[]): Tensor | undefined {
  const given = scalars.filter((scalar) => scalar !== undefined);
  return given.length > 0 ? torch.stack(given).sum() : undefined;
}
