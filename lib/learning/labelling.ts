import { IGNORE_LABEL } from '../data/index.js';
import type { Prediction } from '../models/index.js';
import { checkArguments } from '../torch/check-arguments.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import * as is from '../torch/rules.js';
import type { Joined } from './framework.js';
import type { LearningOptions } from './options.js';
import { ALONE, type Peers } from './peers.js';
import { peersShape } from './rules.js';
import { nearest, oneHot, readsRecord, TeacherRecord } from './teacher-record.js';

/** The labels of one network, by its predictions. */
export interface Labelled {
  /** [B, H, W] int64: the network's class, or 255 where the pseudo loss must not look. */
  labels: Tensor;
  /** What there is to watch: scalars, and [K] by class; none without a record. */
  health: Record<string, Tensor>;
}

/**
 * How the predictions of a network that labels for another become labels, and how much these count: by the
 * options, and by what the network has come to say.
 */
export class Labelling {
  /** What the network has come to say; null where no option looks at it. */
  readonly record: TeacherRecord | null;
  readonly #peers: Peers;

  /** @param network whose predictions they will be, and with whom each batch is shared, if with any */
  constructor(
    private readonly options: LearningOptions,
    model: { numClasses: number; device: string; peers?: Peers },
  ) {
    checkArguments(
      'Labelling',
      { options, model },
      {
        options: is.record,
        model: is.shape('options', {
          numClasses: is.size,
          device: is.text,
          peers: is.maybe(peersShape),
        }),
      },
    );
    const { numClasses, device, peers = ALONE } = model;
    this.#peers = peers;
    this.record = readsRecord(options) ? new TeacherRecord(numClasses, device, peers) : null;
  }

  /** What a checkpoint keeps beside the networks. */
  get state(): Readonly<Record<string, Tensor>> {
    return this.record?.state ?? {};
  }

  /**
   * The classes of the ensemble at the images' size, and takes the prediction into the record. To be called
   * without gradients.
   * @param truth labels [L, H, W] of the first L images
   * @param confidence of the iteration, where a schedule moves it
   */
  label(
    prediction: Prediction,
    images: Joined,
    truth: Tensor,
    confidence: number | Tensor | null = null,
  ): Labelled {
    const { options, record } = this;
    const size = images.modalities[0]!.shape.slice(2);
    const { valid } = images;
    record?.observe({ logits: prediction.ensemble, valid, truth });
    const { logits, believed } = this.#believed(prediction.ensemble, size, confidence);
    const { confidenceThreshold, pseudoOnPadding } = options;
    const constant = confidence === null && typeof confidenceThreshold === 'number';
    const within = pseudoOnPadding ? null : valid;
    const labels = labelsOf(logits, size, {
      confidence: constant ? confidenceThreshold : null,
      where: believed && within ? believed.logicalAnd(within) : (believed ?? within),
    });
    return { labels, health: this.#health(prediction, labels, truth.shape[0]!) };
  }

  /** λ from its value at an iteration: a number as it came where nothing follows the network. */
  weight(lambda: number | Tensor): number | Tensor {
    const { record } = this;
    if (record === null || !this.options.lambdaFollowsTeacher) return lambda;
    return torch.noGrad(() => {
      const share = record.competence().mul(record.retained());
      return lambda instanceof torch.Tensor ? share.mul(lambda) : share.mul(lambda);
    });
  }

  /** The logits to label with, and where their highest probability is enough; null: everywhere. */
  #believed(
    ensemble: Tensor,
    size: readonly number[],
    confidence: number | Tensor | null,
  ): { logits: Tensor; believed: Tensor | null } {
    const { record } = this;
    const { distributionAlignment, confidenceThreshold } = this.options;
    const logits =
      record !== null && distributionAlignment > 0
        ? ensemble.add(record.alignment(distributionAlignment))
        : ensemble;
    const adapts = record !== null && confidenceThreshold === 'adaptive';
    if (confidence === null && !adapts) return { logits, believed: null };
    const probabilities = logits.to('float32').softmax(1);
    if (confidence !== null) {
      const enough = isAtLeast(probabilities.amax([1]), confidence);
      return { logits, believed: nearest(enough, size) };
    }
    const said = probabilities.argmax(1); // [B, h, w]
    const least = record!
      .thresholds()
      .indexSelect(0, said.flatten())
      .reshape([...said.shape]);
    return { logits, believed: nearest(probabilities.amax([1]).ge(least), size) };
  }

  #health(
    { heads, ensemble }: Prediction,
    labels: Tensor,
    labelled: number,
  ): Record<string, Tensor> {
    const { record } = this;
    if (record === null) return {};
    const mean = (where: Tensor) => where.to('float32').mean();
    const said = ensemble.argmax(1);
    // A model of one prediction agrees with itself.
    const each = heads.length > 0 ? heads : [ensemble];
    const agreement = torch.stack(each.map((head) => mean(head.argmax(1).eq(said)))).mean();
    const rest = labels.shape[0]! - labelled;
    const unlabelled = rest > 0 ? labels.narrow(0, labelled, rest) : labels;
    const small = nearest(unlabelled, ensemble.shape.slice(2));
    const counts = this.#peers.sum(oneHot(small, ensemble.shape[1]!).sum([0, 1, 2]));
    return {
      competence: record.competence(),
      retained: record.retained(),
      used: mean(unlabelled.ne(IGNORE_LABEL)),
      agreement,
      labelledShares: record.labelledShares(),
      pseudoShares: counts.div(counts.sum().clamp(1)),
      recall: record.recall(),
    };
  }
}

function isAtLeast(probability: Tensor, least: number | Tensor): Tensor {
  return least instanceof torch.Tensor ? probability.ge(least) : probability.ge(least);
}

/**
 * Labels from the logits of an ensemble, [B, K, h, w] → [B, H, W] int64: the argmax at `size`
 * (that of the logits; upsampling is bilinear, align_corners true).
 * 255 where padded (unless `pseudoOnPadding`) and below the confidence threshold.
 */
export function pseudoLabels(
  ensemble: Tensor,
  valid: Tensor | null,
  options: { pseudoOnPadding: boolean; confidenceThreshold: number | null },
  size?: readonly number[],
): Tensor {
  checkArguments(
    'pseudoLabels',
    { ensemble, valid, options, size },
    {
      ensemble: is.tensor,
      valid: is.orNull(is.tensor),
      options: is.shape('options', {
        pseudoOnPadding: is.flag,
        confidenceThreshold: is.orNull(is.finite),
      }),
      size: is.maybe(is.listOf(is.finite)),
    },
  );

  const where = options.pseudoOnPadding ? null : valid;
  return labelsOf(ensemble, size ?? ensemble.shape.slice(2), {
    confidence: options.confidenceThreshold,
    where,
  });
}

function labelsOf(
  logits: Tensor,
  size: readonly number[],
  { confidence, where }: { confidence: number | null; where: Tensor | null },
): Tensor {
  return torch.ops.m3l!.upsample_argmax!(logits, size, confidence, where, IGNORE_LABEL) as Tensor;
}
