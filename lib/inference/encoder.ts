import type { Masking } from '../models/missing-modalities/inputs.js';
import { embedWithMaskToken } from '../models/missing-modalities/mask-token.js';
import {
  asImage,
  asTokens,
  type Block,
  type Feature,
  type MixTransformer,
  type NormalisedFeature,
  throughBlocks,
} from '../models/mit.js';
import { addAndNormalise, type ModalityNorm } from '../models/modality-norm.js';
import { selectRows } from '../models/streams.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { type PreparedAttention, prepareAttention } from './attention.js';
import type { Constants } from './constants.js';
import { whileEvaluating } from './evaluating.js';
import { PreparedNorm } from './norm.js';
import { PackedConv, PackedLinear } from './packed.js';

class InferenceBlock {
  readonly #block: Block;
  readonly #attention: PreparedAttention;
  readonly #norm2: PreparedNorm;
  readonly #fc1: PackedLinear;
  readonly #fc2: PackedLinear;

  constructor(block: Block, constants: Constants) {
    this.#block = block;
    this.#attention = prepareAttention(block.attn, constants);
    this.#norm2 = new PreparedNorm(block.norm2, constants);
    const [fc1, fc2] = [block.mlp.fc1.module, block.mlp.fc2.module];
    this.#fc1 = new PackedLinear(fc1.weight, fc1.bias, constants);
    this.#fc2 = new PackedLinear(fc2.weight, fc2.bias, constants);
  }

  /** The attention's branch, [S·B, N, C], of the modalities `streams`, before their fusion. */
  attend({ normal, height, width }: NormalisedFeature, streams: readonly number[]): Tensor {
    return this.#attention.forward({ tokens: normal, height, width }, streams);
  }

  /**
   * What follows the attention (see `Block`), for all modalities.
   * @param wanted after the fusion, which needs all, only these are computed further
   */
  mix(
    { tokens: x0, height, width }: NormalisedFeature,
    attended: Tensor,
    next: PreparedNorm,
    all: readonly number[],
    wanted: readonly number[],
  ): NormalisedFeature {
    const { fusion, mlp } = this.#block;
    const sum = { x0, branch: attended, factors: null, norm: this.#norm2.weights(all) };
    const fused = whileEvaluating(fusion, () => fusion.forward(sum));
    const [x1, normal1] = [fused.tokens, fused.normal].map((each) =>
      selectRows(each, wanted, all.length),
    ) as [Tensor, Tensor];
    const hidden = mlp.dwconv.forward({ tokens: this.#fc1.forward(normal1), height, width });
    const branch = this.#fc2.forward(hidden);
    const added = addAndNormalise({ x0: x1, branch, factors: null, norm: next.weights(wanted) });
    return { ...added, height, width };
  }
}

class InferenceStage {
  readonly #conv: PackedConv;
  readonly #embedNorm: PreparedNorm;
  readonly #blocks: readonly InferenceBlock[];
  /** That before each block, then the stage's own. */
  readonly #norms: readonly PreparedNorm[];
  readonly #all: readonly number[];

  constructor(encoder: MixTransformer, stage: Stage, constants: Constants) {
    const { proj, norm: embedNorm } = encoder[`patchEmbed${stage}`];
    const blocks = [...encoder[`block${stage}`]];
    const norm = (each: ModalityNorm) => new PreparedNorm(each, constants);
    this.#conv = new PackedConv(proj.module, constants);
    this.#embedNorm = norm(embedNorm);
    this.#blocks = blocks.map((block) => new InferenceBlock(block, constants));
    this.#norms = [...blocks.map(({ norm1 }) => norm1), encoder[`norm${stage}`]].map(norm);
    this.#all = Array.from({ length: encoder.modalities }, (_, m) => m);
  }

  /** Images [S·B, C, H, W] of the modalities `streams`, by default all, to their patches' tokens. */
  embed(image: Tensor, streams = this.#all): Feature {
    const { tokens, ...grid } = asTokens(this.#conv.forward(image));
    return { tokens: this.#embedNorm.forward(tokens, streams), ...grid };
  }

  /**
   * @param wanted the modalities whose tokens are given; the last block computes only them
   * @param constant the attention of the first block where it is known without computing it
   */
  forward(embed: () => Feature, wanted = this.#all, constant?: ConstantBranch): Feature {
    const all = this.#all;
    const last = this.#blocks.length - 1;
    const { features } = throughBlocks(
      () => {
        const embedded = embed();
        return { ...embedded, normal: this.#norms[0]!.forward(embedded.tokens, all) };
      },
      this.#blocks.map((block, i) => (tokens) => {
        const attended =
          i === 0 && constant ? this.#attendPresent(tokens, constant) : block.attend(tokens, all);
        return block.mix(tokens, attended, this.#norms[i + 1]!, all, i === last ? wanted : all);
      }),
    );
    return features;
  }

  /** The first block's attention where modalities are missing: that of a token repeated is constant. */
  #attendPresent(tokens: NormalisedFeature, { present, branch }: ConstantBranch): Tensor {
    const { normal } = tokens;
    const [rows, count, channels] = normal.shape as [number, number, number];
    const batch = rows / this.#all.length;
    const own = { ...tokens, normal: selectRows(normal, present, this.#all.length) };
    const attended = this.#blocks[0]!.attend(own, present);
    const streams = this.#all.map((m) => {
      const at = present.indexOf(m);
      return at < 0
        ? branch.select(0, m).expand([batch, count, channels])
        : attended.narrow(0, at * batch, batch);
    });
    return torch.cat(streams, 0);
  }

  /**
   * The first block's attention of an image of one token everywhere, [M, 1, C]: all scores are
   * equal, and so are all values, whatever the size.
   * @param side of an image of tokens that the attention's reduction makes one of
   */
  constantAttention(token: Tensor, side: number): Tensor {
    const all = this.#all;
    const tokens = token.view([1, 1, -1]).expand([all.length, side * side, -1]);
    const normal = this.#norms[0]!.forward(tokens.contiguous(), all);
    const attended = this.#blocks[0]!.attend({ tokens, normal, height: side, width: side }, all);
    return attended.narrow(1, 0, 1).contiguous();
  }
}

/** What the first block's attention gives for missing modalities. */
interface ConstantBranch {
  present: readonly number[];
  /** [M, 1, C] */
  branch: Tensor;
}

type Stage = 1 | 2 | 3 | 4;

/** A {@link MixTransformer} for inference. */
export class InferenceEncoder {
  readonly #encoder: MixTransformer;
  readonly #stages: readonly InferenceStage[];
  readonly #constants: Constants;
  #constantAttention: Tensor | null = null;

  constructor(encoder: MixTransformer, constants: Constants) {
    this.#encoder = encoder;
    this.#constants = constants;
    this.#stages = ([1, 2, 3, 4] as const).map(
      (stage) => new InferenceStage(encoder, stage, constants),
    );
  }

  /** As the encoder's; of the last stage the tokens of `wanted` alone. */
  forward(
    inputs: readonly (Tensor | null)[],
    masking: Masking,
    wanted: readonly number[],
  ): Feature[] {
    const [one, two, three, four] = this.#stages as [
      InferenceStage,
      InferenceStage,
      InferenceStage,
      InferenceStage,
    ];
    const { maskToken } = this.#encoder.patchEmbed1;
    const embedded = () =>
      embedWithMaskToken(inputs, masking, maskToken, (images, present) =>
        one.embed(images, present),
      );
    const c1 = one.forward(embedded, undefined, this.#constantBranch(inputs));
    const c2 = two.forward(() => two.embed(asImage(c1)));
    const c3 = three.forward(() => three.embed(asImage(c2)));
    const c4 = four.forward(() => four.embed(asImage(c3)), wanted);
    return [c1, c2, c3, c4];
  }

  #constantBranch(inputs: readonly (Tensor | null)[]): ConstantBranch | undefined {
    const present = inputs.flatMap((input, m) => (input ? [m] : []));
    const { maskToken } = this.#encoder.patchEmbed1;
    if (present.length === inputs.length || !maskToken) return undefined;
    const side = this.#encoder.block1.at(0).attn.reduction;
    this.#constantAttention ??= this.#constants.make(() =>
      this.#stages[0]!.constantAttention(maskToken, side),
    );
    return { present, branch: this.#constantAttention };
  }
}
