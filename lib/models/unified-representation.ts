import { z } from 'zod';
import * as nn from '../nn/index.js';
import type { Member } from '../nn/module.js';
import { checkArguments } from '../torch/check-arguments.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { severalModalities } from './count-modalities.js';
import { defineModel, type ModelInput } from './descriptor.js';
import { initialise } from './initialise.js';
import { checkInputs, maskedRows } from './missing-modalities/inputs.js';
import { type Backbone, type Feature, leastSide, MixTransformer } from './mit.js';
import { dropout, mitKeys } from './option-keys.js';
import { modelInputShape } from './rules.js';
import { SegformerHead } from './segformer-head.js';
import {
  type ForwardOptions,
  type Head,
  ModelError,
  type ParameterRole,
  type Prediction,
  type SegmentationModel,
} from './segmentation-model.js';
import { bilinear } from './upsample.js';

/** For M ≥ 2 modalities. */
export interface UnifiedRepresentationOptions extends ModelInput {
  /** Of each encoder. */
  backbone?: Backbone;
  /** Stochastic depth of the last block; it rises linearly from 0. */
  dropPath?: number;
  /** Dropout2d of the decoder. */
  dropout?: number;
  decoderWidth?: number;
  /** Of the encoders; 1e-6 by default. */
  layerNormEps?: number;
}

/**
 * Unified representation, as the authors of M3L compare with it: one encoder for each modality, the
 * mean of their features, one head and one prediction. A sample's mean is of the modalities that it has:
 * one that is missing (no input, or masked) takes no part in it, in training, where that is modality
 * dropout, and afterwards. (The authors' evaluation averages all encoders always, on filled inputs; and
 * their draws of modality dropout never say "none": `maskWeights: { none: 0 }`.)
 *
 * State-dict names are the authors': `encoder0.…`, `encoder1.…`, `decoder.…`.
 */
export class UnifiedRepresentation extends nn.Module implements SegmentationModel {
  readonly #encoders: readonly MixTransformer[];
  readonly decoder: SegformerHead;
  readonly modalities: number;
  readonly numClasses: number;
  /** What stands for a missing modality is nothing: the mean goes without it. */
  readonly hasMaskToken = true;
  readonly leastSide = leastSide;
  readonly heads: readonly Head[] = ['ensemble'];
  precision: torch.AutocastDType = 'float32';

  constructor(options: UnifiedRepresentationOptions) {
    super();
    checkArguments('UnifiedRepresentation', { options }, { options: modelInputShape });
    const { backbone = 'mit-b2', numClasses } = options;
    const modalities = severalModalities('unified-representation', options.modalities);
    const { dropPath = 0.1, dropout = 0.1, layerNormEps } = options;
    this.modalities = modalities;
    this.numClasses = numClasses;
    this.#encoders = Array.from(
      { length: modalities },
      () => new MixTransformer({ backbone, dropPath, layerNormEps }),
    );
    this.decoder = new SegformerHead({
      channels: this.#encoders[0]!.channels,
      numClasses,
      dropout,
      width: options.decoderWidth,
      freezeBatchNorm: options.freezeBatchNorm,
    });
    initialise(this, options);
  }

  protected override members(): Member[] {
    const encoders = this.#encoders.map((each, m): Member => [`encoder${m}`, each, () => {}]);
    return [...encoders, ...super.members()];
  }

  /** Each encoder as the shared one is with its modality's norms. */
  ownEncoder(shared: nn.StateDict): nn.StateDict {
    const own: nn.StateDict = {};
    for (const [name, tensor] of Object.entries(shared)) {
      const norm = /^encoder\.(.*\.ln_)(\d+)\.(.*)$/.exec(name);
      const rest = name.replace(/^encoder\./, '');
      for (let m = 0; m < this.modalities; m++) {
        if (norm === null) own[`encoder${m}.${rest}`] = tensor;
        else if (Number(norm[2]) === m) own[`encoder${m}.${norm[1]}0.${norm[3]}`] = tensor;
      }
    }
    return own;
  }

  roleOf(name: string): ParameterRole {
    if (!name.startsWith('encoder')) return 'decoder';
    return name.includes('norm') ? 'encoder-norm' : 'encoder';
  }

  override forward(inputs: readonly (Tensor | null)[], options: ForwardOptions = {}): Prediction {
    return { heads: [], ensemble: this.#predict(inputs, options) };
  }

  forwardHeads(
    inputs: readonly (Tensor | null)[],
    heads: readonly Head[],
    options: ForwardOptions = {},
  ): Tensor[] {
    const foreign = heads.find((head) => head !== 'ensemble');
    if (foreign !== undefined || heads.length === 0) {
      throw new ModelError(
        'M3L_MODEL_HEAD',
        `${foreign === undefined ? 'No head' : `Head ${foreign}`} is asked for, expected 'ensemble': ` +
          'unified-representation has one prediction for all modalities.',
      );
    }
    const logits = this.#predict(inputs, options);
    return heads.map(() => logits);
  }

  #predict(inputs: readonly (Tensor | null)[], options: ForwardOptions): Tensor {
    const { height, width } = checkInputs(inputs, this.modalities, options, this);
    const { masked, maskingRatio = 1, upsample = true } = options;
    if (masked !== undefined && maskingRatio !== 1) {
      throw new ModelError(
        'M3L_MODEL_INPUT',
        `\`maskingRatio\` is ${maskingRatio}, expected 1: unified-representation does without a ` +
          'modality as a whole, not without some of its tokens.',
      );
    }
    const compute = () => this.decoder.forward(this.#unified(inputs, options));
    const { device } = inputs.find((input) => input !== null)!;
    const logits =
      this.precision === 'float32'
        ? compute()
        : torch.autocast({ dtype: this.precision, device }, compute).to('float32');
    return upsample ? bilinear(logits, [height, width])(logits) : logits;
  }

  /** c_i = mean of c_i of the encoders of the modalities that a sample has: four [B, N_i, C_i]. */
  #unified(inputs: readonly (Tensor | null)[], options: ForwardOptions): Feature[] {
    const present = inputs.flatMap((input, m) => (input === null ? [] : [{ input, m }]));
    const { device, shape } = present[0]!.input;
    const streams = present.map(({ input, m }) => {
      const isMasked_B = maskedRows([m], shape[0]!, options, device);
      return { isMasked_B, features: this.#encode(input, m, isMasked_B) };
    });
    // Of how many modalities each sample's mean is; one that has none has features of 0.
    const masks_B = streams.flatMap(({ isMasked_B }) => isMasked_B ?? []);
    const masked_B = masks_B.length > 0 ? torch.stack(masks_B).sum([0]) : null;
    const counts_B11 = masked_B?.neg().add(present.length).clamp(1).view([-1, 1, 1]);

    const [first, ...rest] = streams.map(({ features }) => features) as [Feature[], ...Feature[][]];
    return first.map((feature, stage) => {
      const sum = rest.reduce((total, each) => total.add(each[stage]!.tokens), feature.tokens);
      return { ...feature, tokens: counts_B11 ? sum.div(counts_B11) : sum.div(present.length) };
    });
  }

  /** The features of a modality, 0 for samples without it: nothing of their inputs gets through. */
  #encode(input: Tensor, m: number, isMasked_B: Tensor | null): Feature[] {
    const { patchEmbed1 } = this.#encoders[m]!;
    const known = isMasked_B ? input.maskedFill(isMasked_B.view([-1, 1, 1, 1]), 0) : input;
    const images = known.to({ memoryFormat: 'channelsLast' });
    const { features } = this.#encoders[m]!.forward(() => patchEmbed1.forward(images));
    if (!isMasked_B) return features;
    return features.map((feature) => {
      return { ...feature, tokens: feature.tokens.maskedFill(isMasked_B.view([-1, 1, 1]), 0) };
    });
  }
}

export const unifiedRepresentationModel = defineModel({
  name: 'unified-representation',
  summary: 'an encoder for each modality, and one head on the mean of their features',
  modalities: { least: 2, most: Number.POSITIVE_INFINITY },
  leastSide,
  maskToken: false,
  options: z.object({ ...mitKeys, dropout: dropout(0.1) }),
  create: (options: UnifiedRepresentationOptions) => new UnifiedRepresentation(options),
});
