import type {
  ForwardOptions,
  Head,
  Prediction,
  Predictor,
  SegmentationModel,
} from '../models/index.js';
import { segmentationModelShape } from '../models/rules.js';
import * as nn from '../nn/index.js';
import { checkArguments } from '../torch/check-arguments.js';
import type { AutocastDType, Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import * as is from '../torch/rules.js';

/** Networks of one architecture that answer together: the mean of their logits, head by head. */
export class AveragedNetworks extends nn.Module implements SegmentationModel {
  readonly networks: nn.ModuleList;
  readonly modalities: number;
  readonly numClasses: number;
  readonly hasMaskToken: boolean;
  readonly leastSide: number;
  readonly #members: readonly SegmentationModel[];

  /** @param members one at least; they stay whose they are */
  constructor(members: readonly SegmentationModel[]) {
    super();
    checkArguments(
      'AveragedNetworks',
      { members },
      { members: is.filled(is.listOf(segmentationModelShape)) },
    );

    this.#members = members;
    this.networks = new nn.ModuleList([...members]);
    const [first] = members;
    this.modalities = first!.modalities;
    this.numClasses = first!.numClasses;
    this.hasMaskToken = first!.hasMaskToken;
    this.leastSide = first!.leastSide;
  }

  get precision(): AutocastDType {
    return this.#members[0]!.precision;
  }

  set precision(precision: AutocastDType) {
    for (const member of this.#members) member.precision = precision;
  }

  override forward(...given: Parameters<Predictor['forward']>): Prediction {
    const all = this.#members.map((member) => member.forward(...given));
    const heads = all[0]!.heads.map((_, m) => mean(all.map((each) => each.heads[m]!)));
    return { heads, ensemble: mean(all.map(({ ensemble }) => ensemble)) };
  }

  forwardHeads(
    inputs: readonly (Tensor | null)[],
    heads: readonly Head[],
    options?: ForwardOptions,
  ): Tensor[] {
    const all = this.#members.map((member) => member.forwardHeads(inputs, heads, options));
    return heads.map((_, h) => mean(all.map((each) => each[h]!)));
  }
}

function mean(logits: readonly Tensor[]): Tensor {
  return torch.stack([...logits]).mean([0]);
}
