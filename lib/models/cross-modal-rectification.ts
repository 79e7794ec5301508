import { z } from 'zod';
import * as nn from '../nn/index.js';
import { checkArguments } from '../torch/check-arguments.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import * as is from '../torch/rules.js';
import { defineModel } from './descriptor.js';
import { type Fused, Fusion, type FusionSite, type ResidualSum } from './fusion.js';
import { FusionModel, type FusionModelOptions } from './fusion-model.js';
import { backboneNamed, leastSide, MixTransformer } from './mit.js';
import { normalise } from './modality-norm.js';
import { dropout, ensemble, maskTokenStd, mitKeys } from './option-keys.js';
import { modelInputShape } from './rules.js';
import { othersOf } from './streams.js';

/**
 * Cross-modal feature rectification (CMX): what every modality gives to the others is weighed, by
 * channel from what the whole image holds, and by place from what the tokens there hold:
 *
 *     c = σ(MLP([mean_n x; max_n x]))     of all modalities together, for each modality and channel
 *     s = σ(MLP(x_n))                     of all modalities together, for each modality and token
 *     y_m = x_m + 1/(M − 1) · Σ_{j≠m} ½ (c_j + s_j) · x_j
 */
export class Rectify extends Fusion {
  readonly channelNet: nn.Sequential;
  readonly spatialNet: nn.Sequential;
  readonly modalities: number;

  constructor(site: Pick<FusionSite, 'channels' | 'modalities'>) {
    super();
    checkArguments(
      'Rectify',
      { site },
      { site: is.shape('FusionSite', { channels: is.size, modalities: is.size }) },
    );
    const { channels, modalities } = site;
    const all = modalities * channels;
    this.modalities = modalities;
    this.channelNet = new nn.Sequential(
      new nn.Linear(2 * all, 2 * all),
      new nn.ReLU(),
      new nn.Linear(2 * all, all),
      new nn.Sigmoid(),
    );
    this.spatialNet = new nn.Sequential(
      new nn.Linear(all, channels),
      new nn.ReLU(),
      new nn.Linear(channels, modalities),
      new nn.Sigmoid(),
    );
  }

  override forward({ x0, branch, factors, norm }: ResidualSum): Fused {
    const x1 = x0.add(factors ? branch.mul(factors.view([-1, 1, 1])) : branch);
    const tokens = this.#rectified(x1);
    return { tokens, normal: normalise(tokens, norm) };
  }

  #rectified(x_RNC: Tensor): Tensor {
    const M = this.modalities;
    const streams = x_RNC.chunk(M, 0); // M × [B, N, C]
    const all_BNE = torch.cat(streams, 2); // E = M·C
    const whole_BF = torch.cat([all_BNE.mean([1]), all_BNE.amax([1])], 1); // F = 2·E
    const byChannel = this.channelNet.forward(whole_BF).unsqueeze(1).chunk(M, 2); // M × [B, 1, C]
    const byPlace = this.spatialNet.forward(all_BNE).chunk(M, 2); // M × [B, N, 1]
    const given = streams.map((x, m) => x.mul(byChannel[m]!.add(byPlace[m]!).mul(0.5)));
    return x_RNC.add(othersOf(torch.cat(given, 0), M)).to({ dtype: x_RNC.dtype });
  }
}

/**
 * The rectification of CMX (Zhang et al., CMX: Cross-modal fusion for RGB-X semantic segmentation with
 * transformers, 2023) on the encoder and head of Linear Fusion, once a stage: in its last block, of the
 * tokens between attention and MLP. Unlike CMX the modalities share the encoder's weights, and keep
 * their streams and heads to the end, where CMX fuses features: so each may be missing.
 */
export class CrossModalRectification extends FusionModel {
  constructor(options: FusionModelOptions) {
    checkArguments('CrossModalRectification', { options }, { options: modelInputShape });
    super('cross-modal-rectification', options, (encoder) => {
      const { depths } = backboneNamed(encoder.backbone);
      return new MixTransformer({
        ...encoder,
        fusion: (site) => (site.block === depths[site.stage]! - 1 ? new Rectify(site) : undefined),
      });
    });
  }
}

export const crossModalRectificationModel = defineModel({
  name: 'cross-modal-rectification',
  summary: 'each modality’s tokens are rectified by the others’, by channel and by place (CMX)',
  modalities: { least: 2, most: Number.POSITIVE_INFINITY },
  leastSide,
  maskToken: true,
  options: z.object({
    backbone: mitKeys.backbone,
    maskTokenStd,
    ensemble,
    dropPath: mitKeys.dropPath,
    dropout: dropout(0.1),
  }),
  paperOptions: { ensemble: 'all' },
  create: (options: FusionModelOptions) => new CrossModalRectification(options),
});
