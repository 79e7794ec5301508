import type {
  ForwardOptions,
  Head,
  Prediction,
  SegmentationModel,
} from '../models/segmentation-model.js';
import { asPrediction, headsOf } from '../models/streams.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { whileEvaluating } from './evaluating.js';
import type { InferenceView } from './optimize.js';

/** Any model for inference, with nothing prepared; made by `optimizeForInference`. */
export class PlainView implements InferenceView {
  readonly modalities: number;
  readonly numClasses: number;
  readonly hasMaskToken: boolean;
  readonly leastSide: number;
  readonly heads: readonly Head[];
  readonly #model: SegmentationModel;

  constructor(model: SegmentationModel) {
    this.#model = model;
    this.modalities = model.modalities;
    this.numClasses = model.numClasses;
    this.hasMaskToken = model.hasMaskToken;
    this.leastSide = model.leastSide;
    this.heads = headsOf(model);
  }

  forward(inputs: readonly (Tensor | null)[], options: ForwardOptions = {}): Prediction {
    return asPrediction(this.forwardHeads(inputs, this.heads, options));
  }

  forwardHeads(
    inputs: readonly (Tensor | null)[],
    heads: readonly Head[],
    options: ForwardOptions = {},
  ): Tensor[] {
    const model = this.#model;
    return torch.scope(() =>
      torch.inferenceMode(() =>
        whileEvaluating(model, () => model.forwardHeads(inputs, heads, options)),
      ),
    );
  }

  dispose(): void {}

  [Symbol.dispose](): void {}
}
