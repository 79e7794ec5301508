import { type EnsembleRule, votesOf } from '../models/ensemble.js';
import { checkInputs } from '../models/missing-modalities/inputs.js';
import type {
  ForwardOptions,
  Head,
  Prediction,
  StreamedModel,
} from '../models/segmentation-model.js';
import { asPrediction, everyHead, logitsOf, selectStreams, streamsOf } from '../models/streams.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { Constants } from './constants.js';
import { InferenceEncoder } from './encoder.js';
import { InferenceHead } from './head.js';
import type { InferenceOptions, InferenceView } from './optimize.js';

/** A streamed model prepared for inference; made by `optimizeForInference`, which says what it is. */
export class PackedView implements InferenceView {
  readonly modalities: number;
  readonly numClasses: number;
  readonly hasMaskToken: boolean;
  readonly leastSide: number;
  readonly #constants: Constants;
  readonly #encoder: InferenceEncoder;
  readonly #head: InferenceHead;
  readonly #alpha: Tensor | undefined;
  readonly #headShares: Tensor | undefined;
  readonly #ensemble: EnsembleRule | undefined;

  constructor(
    { encoder, decoder, alpha, headShares, ensemble, ...shape }: StreamedModel,
    { measure = true }: InferenceOptions = {},
  ) {
    this.#constants = new Constants(measure);
    this.modalities = shape.modalities;
    this.numClasses = shape.numClasses;
    this.hasMaskToken = shape.hasMaskToken;
    this.leastSide = shape.leastSide;
    this.#encoder = new InferenceEncoder(encoder, this.#constants);
    this.#head = new InferenceHead(decoder, this.#constants);
    this.#alpha = alpha;
    this.#headShares = headShares;
    this.#ensemble = ensemble;
  }

  forward(inputs: readonly (Tensor | null)[], options: ForwardOptions = {}): Prediction {
    return asPrediction(this.forwardHeads(inputs, everyHead(this.modalities), options));
  }

  forwardHeads(
    inputs: readonly (Tensor | null)[],
    heads: readonly Head[],
    options: ForwardOptions = {},
  ): Tensor[] {
    const { modalities } = this;
    const { height, width } = checkInputs(inputs, modalities, options, this);
    const size: [number, number] | null = options.upsample === false ? null : [height, width];
    // The scope lets each activation's memory go before the caller's scope ends.
    return torch.scope(() =>
      torch.inferenceMode(() => {
        const votes = votesOf(inputs, options, this.#ensemble);
        const streams = streamsOf(heads, modalities, votes);
        const stages = this.#encoder.forward(inputs, options, streams);
        const last = stages.length - 1; // which has these streams alone already
        const read = stages.map((feature, stage) =>
          stage === last ? feature : selectStreams(feature, streams, modalities),
        );
        const predictions = this.#head.forward(read); // [S·B, K, H/4, W/4]
        const model = { modalities, alpha: this.#alpha, headShares: this.#headShares };
        return logitsOf(predictions, { heads, streams, votes, size, model });
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
