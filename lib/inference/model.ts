import type { MixTransformer } from '../models/mit.js';
import type { SegformerHead } from '../models/segformer-head.js';
import {
  checkInputs,
  type ForwardOptions,
  type Head,
  type Prediction,
} from '../models/segmentation-model.js';
import { headsOf, predictAll, selectStreams, streamsOf } from '../models/streams.js';
import { bilinear } from '../models/upsample.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { Constants } from './constants.js';
import { InferenceEncoder } from './encoder.js';
import { InferenceHead } from './head.js';
import type { InferenceOptions, InferenceView } from './optimize.js';

/** What the view needs of a model. */
export interface Source {
  readonly encoder: MixTransformer;
  readonly decoder: SegformerHead;
  /** Absent where there is one modality. */
  readonly alpha?: Tensor;
  readonly modalities: number;
  readonly numClasses: number;
  readonly hasMaskToken: boolean;
  readonly leastSide: number;
}

/** A model prepared for inference; made by `optimizeForInference`, which says what it is. */
export class InferenceModel implements InferenceView {
  readonly modalities: number;
  readonly numClasses: number;
  readonly hasMaskToken: boolean;
  readonly leastSide: number;
  readonly #constants: Constants;
  readonly #encoder: InferenceEncoder;
  readonly #head: InferenceHead;
  /** softmax(α), [1, M]. */
  readonly #weights: Tensor | null;

  constructor(
    { encoder, decoder, alpha, ...shape }: Source,
    { measure = true }: InferenceOptions = {},
  ) {
    this.#constants = new Constants(measure);
    this.modalities = shape.modalities;
    this.numClasses = shape.numClasses;
    this.hasMaskToken = shape.hasMaskToken;
    this.leastSide = shape.leastSide;
    this.#encoder = new InferenceEncoder(encoder, this.#constants);
    this.#head = new InferenceHead(decoder, this.#constants);
    this.#weights = alpha ? this.#constants.make(() => alpha.softmax(0).unsqueeze(0)) : null;
  }

  forward(inputs: readonly (Tensor | null)[], options: ForwardOptions = {}): Prediction {
    return predictAll(this, inputs, options);
  }

  forwardHeads(
    inputs: readonly (Tensor | null)[],
    heads: readonly Head[],
    options: ForwardOptions = {},
  ): Tensor[] {
    const { modalities } = this;
    const { height, width } = checkInputs(inputs, modalities, options, this);
    const streams = streamsOf(heads, modalities);
    // The scope lets each activation's memory go before the caller's scope ends.
    return torch.scope(() =>
      torch.inferenceMode(() => {
        const stages = this.#encoder.forward(inputs, options, streams);
        const last = stages.length - 1; // which has these streams alone already
        const read = stages.map((feature, stage) =>
          stage === last
            ? feature
            : { ...feature, tokens: selectStreams(feature.tokens, streams, modalities) },
        );
        const logits = headsOf(this.#head.forward(read), streams, heads, this.#weights);
        if (options.upsample === false) return logits;
        return logits.map(bilinear(logits[0]!, [height, width]));
      }),
    );
  }

  dispose(): void {
    this.#constants.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
