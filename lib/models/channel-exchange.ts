import { z } from 'zod';
import * as nn from '../nn/index.js';
import { checkArguments } from '../torch/check-arguments.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import * as is from '../torch/rules.js';
import { severalModalities } from './count-modalities.js';
import { defineModel, type ModelInput } from './descriptor.js';
import type { EnsembleRule } from './ensemble.js';
import { withHeadShares } from './fusion-model.js';
import { ModalityBatchNorm } from './modality-batch-norm.js';
import { dropout, ensemble, l1Lambda, resnetBackbone } from './option-keys.js';
import { type Predicted, predictHeads } from './predict-streams.js';
import { RefineNetBody } from './refinenet-body.js';
import { type ResNetName, sharedLayers } from './resnet.js';
import { sharedResNet } from './resnet-weights.js';
import { modelInputShape } from './rules.js';
import type {
  EnsembleModel,
  ForwardOptions,
  Head,
  ParameterRole,
  Prediction,
} from './segmentation-model.js';
import { asPrediction, everyHead, othersOf } from './streams.js';

/** For M ≥ 2 modalities. */
export interface ChannelExchangeOptions extends ModelInput {
  backbone?: ResNetName;
  /** Channels of a smaller scale give way to the other modalities'; 0.02 by default. */
  exchangeThreshold?: number;
  /** Weight of the scales' L1 in the loss; 2e-4 by default. */
  l1Lambda?: number;
  /** Whose heads the ensemble weighs, and how; `evidence` by default, `all` is the paper's. */
  ensemble?: EnsembleRule;
  /** On the two deepest features, and before the classifier; 0.5 by default. */
  dropout?: number;
}

/**
 * BatchNorms y_m of the modalities, with scales γ_m, that exchange channels:
 *
 *     z_m[c] = y_m[c] where |γ_m[c]| ≥ threshold, elsewhere 1/(M − 1) · Σ_{j≠m} y_j[c]
 *
 * Each modality decides by its own scale and takes what the others were before any exchange.
 */
export class ExchangingNorm extends ModalityBatchNorm {
  constructor(
    channels: number,
    options: { modalities: number; frozen: boolean },
    readonly threshold: number,
  ) {
    checkArguments(
      'ExchangingNorm',
      { channels, options, threshold },
      {
        channels: is.size,
        options: is.shape('options', { modalities: is.size }),
        threshold: is.finite,
      },
    );
    super(channels, options);
  }

  override forward(x: Tensor): Tensor {
    const { norms, threshold } = this;
    const own = super.forward(x);
    const isIdle = torch.stack(norms.map(({ weight }) => weight!.detach().abs().lt(threshold)));
    const shape = [norms.length, own.shape[0]! / norms.length, -1, 1, 1];
    const rows = isIdle.view([norms.length, 1, -1, 1, 1]).expand(shape).flatten(0, 1);
    return torch.where(rows, othersOf(own, norms.length), own);
  }

  /** Σ_m Σ |γ_m[c]| over the m-th of M parts of the channels: where modality m may give way. */
  penalty(): Tensor {
    const { norms } = this;
    const parts = norms.map(({ weight, channels }, m) => {
      const [from, to] = [m, m + 1].map((at) => Math.floor((at * channels) / norms.length));
      return weight!
        .narrow(0, from!, to! - from!)
        .abs()
        .sum();
    });
    return torch.stack(parts).sum();
  }
}

/**
 * Channel exchange (Wang et al., Deep Multimodal Fusion by Channel Exchanging, 2020): RefineNet with
 * convolutions that the modalities share, a BatchNorm of each in the encoder, and in every residual
 * block, at the second of these, an exchange of the channels that a modality has no use for. The
 * modalities meet there and in the ensemble of their predictions.
 */
export class ChannelExchange extends nn.Module implements EnsembleModel {
  readonly model: RefineNetBody;
  readonly headShares: Tensor | undefined;
  readonly ensemble: EnsembleRule;
  readonly modalities: number;
  readonly numClasses: number;
  readonly hasMaskToken = false;
  readonly leastSide = 1;
  readonly l1Lambda: number;
  precision: torch.AutocastDType = 'float32';

  constructor(options: ChannelExchangeOptions) {
    super();
    checkArguments('ChannelExchange', { options }, { options: modelInputShape });
    const { backbone = 'resnet50', numClasses, freezeBatchNorm = false } = options;
    const modalities = severalModalities('channel-exchange', options.modalities, 'refinenet');
    this.modalities = modalities;
    this.numClasses = numClasses;
    this.l1Lambda = options.l1Lambda ?? 2e-4;
    this.ensemble = options.ensemble ?? 'evidence';
    const { exchangeThreshold = 0.02 } = options;
    const norm = { modalities, frozen: freezeBatchNorm };
    const layers = {
      ...sharedLayers(norm),
      secondNorm: (channels: number) => new ExchangingNorm(channels, norm, exchangeThreshold),
    };
    this.model = new RefineNetBody({
      backbone,
      modalities,
      numClasses,
      layers,
      dropout: options.dropout ?? 0.5,
      generator: options.generator,
    });
    if (this.ensemble === 'evidence') {
      this.headShares = nn.buffer(() => torch.zeros([modalities, numClasses]));
    }
  }

  get alpha(): Tensor {
    return this.model.alpha!;
  }

  roleOf(name: string): ParameterRole {
    return RefineNetBody.roleOf(name);
  }

  /** As {@link nn.Module.loadStateDict}; weights fit with or without what the ensemble remembers. */
  override loadStateDict(dict: nn.StateDict, options: { strict?: boolean } = {}): nn.LoadResult {
    return torch.scope(() => super.loadStateDict(withHeadShares(dict, this.headShares), options));
  }

  /** Of torchvision's names, the encoder's own. */
  ownEncoder(shared: nn.StateDict): nn.StateDict {
    return sharedResNet(shared, { prefix: 'model.', modalities: this.modalities });
  }

  override forward(inputs: readonly (Tensor | null)[], options: ForwardOptions = {}): Prediction {
    const { logits } = this.#predict(inputs, everyHead(this.modalities), options);
    return asPrediction(logits, this.#penalty());
  }

  forwardHeads(
    inputs: readonly (Tensor | null)[],
    heads: readonly Head[],
    options: ForwardOptions = {},
  ): Tensor[] {
    return this.#predict(inputs, heads, options).logits;
  }

  #predict(
    inputs: readonly (Tensor | null)[],
    heads: readonly Head[],
    options: ForwardOptions,
  ): Predicted {
    return predictHeads(this, inputs, heads, options, (streams) => {
      return { predictions: this.model.predict(torch.cat(inputs as Tensor[], 0), streams) };
    });
  }

  #penalty(): Tensor {
    const norms = this.modules().filter((module) => module instanceof ExchangingNorm);
    return torch
      .stack(norms.map((norm) => norm.penalty()))
      .sum()
      .mul(this.l1Lambda);
  }
}

export const channelExchangeModel = defineModel({
  name: 'channel-exchange',
  summary: 'RefineNet that exchanges channels of small scale between the modalities',
  modalities: { least: 2, most: Number.POSITIVE_INFINITY },
  leastSide: 1,
  maskToken: false,
  freezeBatchNorm: false,
  options: z.object({
    backbone: resnetBackbone,
    exchangeThreshold: z
      .number()
      .nonnegative()
      .max(1000)
      .default(0.02)
      .describe('Channels of a smaller scale are replaced by those of the other modalities.'),
    l1Lambda: l1Lambda(2e-4),
    ensemble,
    dropout: dropout(0.5),
  }),
  paperOptions: { ensemble: 'all' },
  create: (options: ChannelExchangeOptions) => new ChannelExchange(options),
});
