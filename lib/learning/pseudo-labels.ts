import { IGNORE_LABEL } from '../data/index.js';
import type { Masks, Prediction } from '../models/index.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { EmaTeacher, horizonDecay } from './ema.js';
import {
  type FrameworkContext,
  forward,
  type Joined,
  ohemOptions,
  type StepLosses,
} from './framework.js';
import {
  type AbsentHeads,
  allHeads,
  semiSupervisedLosses,
  supervisedLoss,
  totalLoss,
  withDice,
  withPenalty,
} from './losses.js';
import { nearest, oneHot, readsRecord, TeacherRecord } from './teacher-record.js';

export interface Taught extends Pick<Prediction, 'penalty'> {
  /** [B, H, W] int64: the teacher's class, or 255 where the pseudo loss must not look. */
  labels: Tensor;
  /** The teacher's logits [B, K, h, w], where its own loss is to be reported; else none. */
  heads: Tensor[];
  /** What there is to watch: scalars, and [K] by class; none without a record. */
  health: Record<string, Tensor>;
}

/** What a student learns from, the rows of its images in order. */
export interface Lesson {
  /** [L, H, W] int64: of the labelled images, which come first. */
  labels: Tensor;
  /** The labels of the first N ≥ L samples. */
  truth: Tensor;
  /** [B, H, W] int64: the teacher's, as the student sees the images. */
  pseudo: Tensor;
  /** λ of the iteration. */
  pseudoWeight: number | Tensor;
  /** Whose heads rest; see `AbsentHeads`. */
  absent?: AbsentHeads | undefined;
  /** The teacher's heads on the student's samples, where these are not the teacher's own. */
  teacherHeads?: Tensor[];
}

/** A teacher, and the labels that it gives to images. */
export class Labeller {
  readonly teacher: EmaTeacher;
  /** What the teacher has come to say; null where no option looks at it. */
  readonly record: TeacherRecord | null;

  /** Of the framework's `teacher`, which becomes a copy of its `student`. */
  constructor(private readonly context: FrameworkContext<'student' | 'teacher'>) {
    const { networks, options, iterations } = context;
    const { student, teacher } = networks;
    this.teacher = new EmaTeacher(teacher, student, {
      mode: options.teacherMode,
      decay: options.emaDecay ?? horizonDecay(options.emaHorizon, iterations),
      freezeBatchNorm: options.freezeBatchNorm,
    });
    const { device } = student.parameters()[0]!;
    this.record = readsRecord(options) ? new TeacherRecord(student.numClasses, device) : null;
  }

  /** What a checkpoint keeps beside the networks. */
  get state(): Readonly<Record<string, Tensor>> {
    return this.record?.state ?? {};
  }

  /**
   * The classes of the teacher's ensemble on `images`, without gradients.
   * @param masked per sample the modality the teacher does not see either, −1 for none
   * @param truth labels [L, H, W] of the first L images
   */
  teach(images: Joined, truth: Tensor, masked: Masks, tokenSeed: number | null): Taught {
    const { context, teacher, record } = this;
    const { options } = context;
    const label = (): Taught => {
      const prediction = forward(context, teacher.model, images.modalities, masked, tokenSeed);
      const size = images.modalities[0]!.shape.slice(2);
      const { valid } = images;
      record?.observe({ logits: prediction.ensemble, valid, truth });
      const { logits, believed } = this.#believed(prediction.ensemble, size);
      const { confidenceThreshold, pseudoOnPadding } = options;
      const within = pseudoOnPadding ? null : valid;
      const labels = labelsOf(logits, size, {
        confidence: typeof confidenceThreshold === 'number' ? confidenceThreshold : null,
        where: believed && within ? believed.logicalAnd(within) : (believed ?? within),
      });
      return {
        labels,
        heads: options.reportTeacherLoss ? allHeads(prediction) : [],
        penalty: prediction.penalty,
        health: this.#health(prediction, labels, truth.shape[0]!),
      };
    };
    // In a scope of its own: all of the teacher's activations go before the student makes its own.
    return torch.scope(() => torch.noGrad(label));
  }

  /** What a student that was taught so comes to: loss = sup + λ · pseudo. */
  losses(prediction: Prediction, taught: Taught, lesson: Lesson): StepLosses {
    const { options } = this.context;
    const { labels, truth, pseudo, absent, teacherHeads = taught.heads } = lesson;
    const ohem = ohemOptions(this.context, labels);
    const heads = allHeads(prediction);
    const losses = semiSupervisedLosses(heads, truth, pseudo, ohem, absent);
    const sup = withPenalty(withDice(losses.sup, heads, truth, options.dice), prediction);
    const lambda = this.#weight(lesson.pseudoWeight);
    const total = totalLoss(sup, losses.pseudo, lambda);
    const parts: Record<string, Tensor> = { sup, pseudo: losses.pseudo };
    if (options.reportTeacherLoss) {
      parts.teacherSup = withPenalty(supervisedLoss(teacherHeads, truth, ohem), taught);
    }
    const watched = this.#watch(prediction.ensemble, labels, lambda);
    return { total, parts, health: { ...taught.health, ...watched } };
  }

  /** λ from its value at an iteration: a number as it came where nothing follows the teacher. */
  #weight(lambda: number | Tensor): number | Tensor {
    const { record } = this;
    if (record === null || !this.context.options.lambdaFollowsTeacher) return lambda;
    return torch.noGrad(() => {
      const share = record.competence().mul(record.retained());
      return lambda instanceof torch.Tensor ? share.mul(lambda) : share.mul(lambda);
    });
  }

  /** Takes in the student's ensemble of the labelled images, [≥ L, K, h, w]; what there is to watch of it. */
  #watch(ensemble: Tensor, truth: Tensor, lambda: number | Tensor): Record<string, Tensor> {
    const { record } = this;
    if (record === null) return {};
    return torch.noGrad(() => {
      record.observeStudent(ensemble.detach().narrow(0, 0, truth.shape[0]!), truth);
      return {
        student: record.competence(record.state.studentHits),
        lambda: lambda instanceof torch.Tensor ? lambda : torch.full([], lambda),
      };
    });
  }

  /** The logits to label with, and where their highest probability is enough; null: everywhere. */
  #believed(
    ensemble: Tensor,
    size: readonly number[],
  ): { logits: Tensor; believed: Tensor | null } {
    const { record } = this;
    const { distributionAlignment, confidenceThreshold } = this.context.options;
    const logits =
      record !== null && distributionAlignment > 0
        ? ensemble.add(record.alignment(distributionAlignment))
        : ensemble;
    if (record === null || confidenceThreshold !== 'adaptive') return { logits, believed: null };
    const probabilities = logits.to('float32').softmax(1);
    const said = probabilities.argmax(1); // [B, h, w]
    const least = record
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
    const counts = oneHot(small, ensemble.shape[1]!).sum([0, 1, 2]);
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

/**
 * Labels from the logits of an ensemble, [B, K, h, w] → [B, H, W] int64: the argmax at `size`
 * (that of the logits; upsampling is bilinear, align_corners true).
 * 255 where padded (unless `pseudoOnPadding`) and below the confidence threshold.
 */
export function pseudoLabels(
  ensemble: Tensor,
  valid: Tensor | null,
  options: { pseudoOnPadding: boolean; confidenceThreshold: number | null },
  size: readonly number[] = ensemble.shape.slice(2),
): Tensor {
  const where = options.pseudoOnPadding ? null : valid;
  return labelsOf(ensemble, size, { confidence: options.confidenceThreshold, where });
}

function labelsOf(
  logits: Tensor,
  size: readonly number[],
  { confidence, where }: { confidence: number | null; where: Tensor | null },
): Tensor {
  return torch.ops.m3l!.upsample_argmax!(logits, size, confidence, where, IGNORE_LABEL) as Tensor;
}
