import type { Feature } from '../models/mit.js';
import { type SegformerHead, upsampleSum } from '../models/segformer-head.js';
import type { Tensor } from '../torch/index.js';
import type { Constants } from './constants.js';
import { PackedLinear } from './packed.js';

/**
 * SegFormer's head with each stage's Linear, its slice of the fusing convolution and BatchNorm composed
 * to one Linear, applied at the stage's own resolution (see {@link SegformerHead}).
 */
export class InferenceHead {
  /** Of the stages 1, 2, 3, 4; the last has the bias of all. */
  readonly #project: readonly PackedLinear[];
  readonly #predict: PackedLinear;

  constructor(head: SegformerHead, constants: Constants) {
    const { slices, bias } = composed(head, constants);
    const last = slices.length - 1;
    this.#project = slices.map(
      (weight, stage) => new PackedLinear(weight, stage === last ? bias : null, constants),
    );
    const { weight } = head.linearPred;
    const kernel = constants.make(() => weight.flatten(1).clone());
    this.#predict = new PackedLinear(kernel, head.linearPred.bias, constants);
  }

  /** Four stages of tokens [B, N_i, C_i] to logits [B, K, H_1, W_1]. */
  forward(stages: readonly Feature[]): Tensor {
    const [base, ...maps] = stages.map(({ tokens, ...grid }, stage) => ({
      tokens: this.#project[stage]!.forward(tokens),
      ...grid,
    })) as [Feature, ...Feature[]];
    const { tokens, height, width } = upsampleSum(base, maps, true);
    const logits = this.#predict.forward(tokens); // [B, N, K]
    return logits.transpose(1, 2).contiguous().unflatten(2, [height, width]);
  }
}

/** Weights [width, C_i] of the stages 1 to 4, and the bias [width] of their sum. */
function composed(head: SegformerHead, constants: Constants): { slices: Tensor[]; bias: Tensor } {
  const { bn, conv } = head.linearFuse;
  const { dtype } = conv.weight;
  // In double, since it is done once: the products then round as one.
  const double = (tensor: Tensor) => tensor.to('float64');
  const scaleAndShift = () => bn.scaleAndShift('float64');
  const fuse = () => double(conv.weight.flatten(1)).mul(scaleAndShift()[0].unsqueeze(1));
  const { linearC1, linearC2, linearC3, linearC4, width } = head;
  const projections = [linearC1, linearC2, linearC3, linearC4].map(({ proj }) => proj);
  // The fusing convolution reads c4, c3, c2, c1.
  const slice = (stage: number) => fuse().narrow(1, (3 - stage) * width, width);
  return {
    slices: projections.map(({ weight }, stage) =>
      constants.make(() => slice(stage).mm(double(weight)).to(dtype)),
    ),
    bias: constants.make(() =>
      projections
        .reduce(
          (sum, { bias }, stage) => sum.add(slice(stage).mv(double(bias!))),
          scaleAndShift()[1],
        )
        .to(dtype),
    ),
  };
}
