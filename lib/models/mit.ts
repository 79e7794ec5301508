import * as nn from '../nn/index.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { attend } from './attend.js';
import { ModalityNorm } from './modality-norm.js';
import { type Masking, ModelError } from './segmentation-model.js';

/**
 * Mix Transformer (Xie et al., SegFormer, 2021) for M ≥ 1 modalities: every weight is shared by the
 * modalities, every LayerNorm is one per modality (m3l.md, section 1). The modalities travel as one
 * batch [M·B, N, C], modality by modality, so that each shared layer runs once.
 */
export const backbones = {
  'mit-b0': { channels: [32, 64, 160, 256], depths: [2, 2, 2, 2] },
  'mit-b1': { channels: [64, 128, 320, 512], depths: [2, 2, 2, 2] },
  'mit-b2': { channels: [64, 128, 320, 512], depths: [3, 4, 6, 3] },
  'mit-b3': { channels: [64, 128, 320, 512], depths: [3, 4, 18, 3] },
  'mit-b4': { channels: [64, 128, 320, 512], depths: [3, 8, 27, 3] },
  'mit-b5': { channels: [64, 128, 320, 512], depths: [3, 6, 40, 3] },
} as const;
export type Backbone = keyof typeof backbones;

const heads = [1, 2, 5, 8];
const reductions = [8, 4, 2, 1];
const mlpRatio = 4;
/** Below this height or width the first stage, at stride 4, has no token for its reduction. */
export const leastSide = 4 * (reductions[0]! - 1) + 1;

/** Tokens [M·B, N, C] over a grid, N = height · width. */
export interface Feature {
  tokens: Tensor;
  height: number;
  width: number;
}

/**
 * What couples the modalities after the attention's projection: the linear fusion with r = `ratio`
 * (m3l.md, section 2), or any function of tokens [M·B, N, C] to the same.
 */
export type Fusion = { readonly ratio: number } | ((tokens: Tensor) => Tensor);

export interface MixTransformerOptions {
  backbone: Backbone;
  /** M; 1 by default. */
  modalities?: number;
  /** The largest rate of stochastic depth, that of the last block. */
  dropPath?: number;
  maskToken?: boolean;
  fusion?: Fusion;
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

/** A layer whose weights all modalities share; in the state dict under `module`. */
class Shared<T extends nn.Layer> extends nn.Module {
  constructor(readonly module: T) {
    super();
  }

  override forward(x: Tensor): Tensor {
    return this.module.forward(x);
  }
}

/** Overlapping patches: a strided convolution, then a norm. */
export class PatchEmbed extends nn.Module {
  readonly proj: Shared<nn.Conv2d>;
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
    this.proj = new Shared(new nn.Conv2d(inChannels, channels, kernel, { stride, padding }));
    this.norm = new ModalityNorm(channels, options);
    // Only the first embedding's is ever used; the others are there for the authors' checkpoints.
    this.maskToken = options.maskToken ? nn.parameter(() => torch.randn([channels])) : null;
  }

  /** [P·B, in, H, W] of the modalities `present` (default: all) to their tokens. */
  override forward(image: Tensor, present?: readonly number[]): Feature {
    const { tokens, height, width } = asTokens(this.proj.forward(image));
    return { tokens: this.norm.forward(tokens, present), height, width };
  }
}

/** Efficient self-attention: keys and values from tokens reduced by a strided convolution. */
export class Attention extends nn.Module {
  readonly q: Shared<nn.Linear>;
  readonly kv: Shared<nn.Linear>;
  readonly proj: Shared<nn.Linear>;
  readonly sr: Shared<nn.Conv2d> | null = null;
  readonly norm: ModalityNorm | null = null;
  readonly heads: number;
  readonly fusion: (tokens: Tensor) => Tensor;

  constructor(channels: number, heads: number, reduction: number, options: MixTransformerOptions) {
    super();
    this.heads = heads;
    this.fusion = typeof options.fusion === 'function' ? options.fusion : (tokens) => tokens;
    this.q = new Shared(new nn.Linear(channels, channels));
    this.kv = new Shared(new nn.Linear(channels, 2 * channels));
    this.proj = new Shared(new nn.Linear(channels, channels));
    if (reduction > 1) {
      this.sr = new Shared(new nn.Conv2d(channels, channels, reduction, { stride: reduction }));
      this.norm = new ModalityNorm(channels, options);
    }
  }

  override forward(feature: Feature): Tensor {
    const { tokens } = feature;
    const q = this.q.forward(tokens).unflatten(2, [this.heads, -1]).transpose(1, 2);
    const reduced =
      this.sr && this.norm
        ? this.norm.forward(asTokens(this.sr.forward(asImage(feature))).tokens)
        : tokens;
    // [M·B, N', 2C] -> k, v [M·B, heads, N', C / heads]
    const kv = this.kv.forward(reduced).unflatten(2, [2, this.heads, -1]);
    const [k, v] = kv.permute([2, 0, 3, 1, 4]).unbind(0) as [Tensor, Tensor];
    const attended = attend(q, k, v).transpose(1, 2).flatten(2);
    return this.fusion(this.proj.forward(attended));
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
  readonly fc1: Shared<nn.Linear>;
  readonly dwconv: DepthwiseConv;
  readonly fc2: Shared<nn.Linear>;

  constructor(channels: number) {
    super();
    this.fc1 = new Shared(new nn.Linear(channels, mlpRatio * channels));
    this.dwconv = new DepthwiseConv(mlpRatio * channels);
    this.fc2 = new Shared(new nn.Linear(mlpRatio * channels, channels));
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
}

export class Block extends nn.Module {
  readonly norm1: ModalityNorm;
  readonly attn: Attention;
  readonly norm2: ModalityNorm;
  readonly mlp: MixFeedForward;
  readonly dropPath: nn.DropPath;
  /** r of the linear fusion after the attention. */
  readonly ratio: number;

  constructor(stage: number, dropPath: number, options: MixTransformerOptions) {
    super();
    this.ratio = typeof options.fusion === 'object' ? options.fusion.ratio : 1;
    const channels = backbones[options.backbone].channels[stage]!;
    this.norm1 = new ModalityNorm(channels, options);
    this.attn = new Attention(channels, heads[stage]!, reductions[stage]!, options);
    this.norm2 = new ModalityNorm(channels, options);
    this.mlp = new MixFeedForward(channels);
    this.dropPath = new nn.DropPath(dropPath);
  }

  /**
   * x1 = x0 + dropPath(fuse(attention(norm1(x0)))), x2 = x1 + dropPath(mlp(norm2(x1))). Each sum is
   * made together with the norm that follows it: after x2 that is `next`.
   */
  override forward(
    { tokens: x0, normal, height, width }: NormalisedFeature,
    next: ModalityNorm,
  ): NormalisedFeature {
    const { dropPath } = this;
    const grid = { height, width };
    const attended = this.attn.forward({ tokens: normal, ...grid });
    const [x1, normal1] = this.norm2.afterAdding(x0, attended, { dropPath, ratio: this.ratio });
    const mixed = this.mlp.forward({ tokens: normal1, ...grid });
    const [x2, normal2] = next.afterAdding(x1, mixed, { dropPath });
    return { tokens: x2, normal: normal2, ...grid };
  }
}

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
    const { backbone, modalities = 1, dropPath = 0 } = options;
    if (!Object.hasOwn(backbones, backbone)) {
      throw new ModelError(
        'M3L_MODEL_UNKNOWN',
        `No backbone '${backbone}', expected one of ${Object.keys(backbones).join(', ')}.`,
      );
    }
    const { channels, depths } = backbones[backbone];
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
          () => new Block(stage, (dropPath * index++) / last, options),
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

  /** M × [B,3,H,W] (null: missing) to the four stages' tokens, at strides 4, 8, 16 and 32. */
  override forward(inputs: readonly (Tensor | null)[], masking: Masking = {}): Feature[] {
    const embed = (patches: PatchEmbed, feature: Feature) => () =>
      patches.forward(asImage(feature));
    const c1 = stage(() => this.embed(inputs, masking), this.block1, this.norm1);
    const c2 = stage(embed(this.patchEmbed2, c1), this.block2, this.norm2);
    const c3 = stage(embed(this.patchEmbed3, c2), this.block3, this.norm3);
    const c4 = stage(embed(this.patchEmbed4, c3), this.block4, this.norm4);
    return [c1, c2, c3, c4];
  }

  /**
   * The first patch embedding, with the tokens of missing modalities replaced (section 4).
   * @param patches the embedding itself: of the images [P·B,3,H,W] of the modalities `present`
   */
  embed(
    inputs: readonly (Tensor | null)[],
    masking: Masking,
    patches = (images: Tensor, present: readonly number[]) =>
      this.patchEmbed1.forward(images, present),
  ): Feature {
    const present = inputs.flatMap((input, m) => (input ? [m] : []));
    const given = inputs.filter((input) => input !== null);
    const batch = given[0]!.shape[0]!;
    const { maskingRatio = 1 } = masking;
    const masked = maskedSamples(present, batch, masking, given[0]!.device);

    // Selected, never multiplied: what a masked input holds, NaN included, reaches neither
    // activations nor gradients. A partly masked one is still an input.
    let images = torch.cat(given, 0);
    if (masked && maskingRatio >= 1) {
      images = images.maskedFill(masked.view([-1, 1, 1, 1]), 0);
    }
    // Last, since maskedFill does not keep the layout.
    images = images.to({ memoryFormat: 'channelsLast' });
    const { tokens, height, width } = patches(images, present);
    if (!masked && present.length === inputs.length) return { tokens, height, width };

    const [rows, count, channels] = tokens.shape as [number, number, number];
    const token = this.patchEmbed1.maskToken!;
    let known = tokens;
    if (masked) {
      let replaced = masked;
      if (maskingRatio < 1) {
        const { generator } = masking;
        const draws = torch.rand([rows, count], {
          device: tokens.device,
          ...(generator ? { generator } : {}),
        });
        replaced = masked.unsqueeze(1).logicalAnd(draws.lt(maskingRatio));
      }
      known = torch.ops.m3l!.mask_tokens!(tokens, token, replaced) as Tensor;
    }
    if (present.length === inputs.length) return { tokens: known, height, width };
    const missing = token.to({ dtype: tokens.dtype }).expand([batch, count, channels]);
    const streams = inputs.map((_, m) => {
      const at = present.indexOf(m);
      return at < 0 ? missing : known.narrow(0, at * batch, batch);
    });
    return { tokens: torch.cat(streams, 0), height, width };
  }
}

function stage(embed: () => Feature, blocks: Iterable<Block>, norm: ModalityNorm): Feature {
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
): Feature {
  let feature = torch.scope(embed);
  for (const block of blocks) {
    const before = feature;
    feature = torch.scope(() => block(before));
    torch.dispose([before.tokens, before.normal]);
  }
  const { tokens, normal, height, width } = feature;
  tokens.dispose();
  return { tokens: normal, height, width };
}

/** For each row of the batch of the modalities `present` whether it is masked, [P·B] bool. */
function maskedSamples(
  present: readonly number[],
  batch: number,
  { masked }: Masking,
  device: string,
): Tensor | null {
  if (masked instanceof torch.Tensor) return torch.cat(present.map((m) => masked.eq(m)));
  if (!masked?.some((index) => present.includes(index))) return null;
  const rows = Uint8Array.from(
    present.flatMap((m) => Array.from({ length: batch }, (_, b) => Number(masked[b] === m))),
  );
  return torch.tensor(rows, { dtype: 'bool', device });
}
