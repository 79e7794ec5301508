import type { Masks, Prediction } from '../models/index.js';
import { checkArguments } from '../torch/check-arguments.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { EmaTeacher, horizonDecay } from './ema.js';
import {
  type AnyDraw,
  type FrameworkContext,
  forward,
  type Joined,
  ohemOptions,
  type StepLosses,
} from './framework.js';
import { type Labelled, Labelling } from './labelling.js';
import {
  type AbsentHeads,
  allHeads,
  semiSupervisedLosses,
  supervisedLoss,
  totalLoss,
  withDice,
  withPenalty,
} from './losses.js';
import { frameworkContextShape } from './rules.js';

/** What a teacher says of images. */
export interface Taught extends Labelled, Pick<Prediction, 'penalty'> {
  /** The teacher's logits [B, K, h, w], where its own loss is to be reported; else none. */
  heads: Tensor[];
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
  readonly #labelling: Labelling;

  /** Of the framework's `teacher`, which becomes a copy of its `student`. */
  constructor(private readonly context: FrameworkContext<'student' | 'teacher'>) {
    checkArguments('Labeller', { context }, { context: frameworkContextShape });

    const { networks, options, iterations, peers } = context;
    const { student, teacher } = networks;
    this.teacher = new EmaTeacher(teacher, student, {
      mode: options.teacherMode,
      decay: options.emaDecay ?? horizonDecay(options.emaHorizon, iterations),
      freezeBatchNorm: options.freezeBatchNorm,
    });
    const { device } = student.parameters()[0]!;
    this.#labelling = new Labelling(options, { numClasses: student.numClasses, device, peers });
  }

  /** What a checkpoint keeps beside the networks. */
  get state(): Readonly<Record<string, Tensor>> {
    return this.#labelling.state;
  }

  /**
   * The classes of the teacher's ensemble on `images`, without gradients.
   * @param truth labels [L, H, W] of the first L images
   * @param draw `masked`: per sample the modality the teacher does not see either, −1 for none
   */
  teach(
    images: Joined,
    truth: Tensor,
    {
      masked,
      tokenSeed,
      confidence,
    }: Pick<AnyDraw, 'tokenSeed' | 'confidence'> & { masked: Masks },
  ): Taught {
    const { context, teacher } = this;
    const label = (): Taught => {
      const prediction = forward(context, teacher.model, images.modalities, masked, tokenSeed);
      return {
        ...this.#labelling.label(prediction, images, truth, confidence),
        heads: context.options.reportTeacherLoss ? allHeads(prediction) : [],
        penalty: prediction.penalty,
      };
    };
    // In a scope of its own: all of the teacher's activations go before the student makes its own.
    return torch.scope(() => torch.noGrad(label));
  }

  /** What a student that was taught so comes to: loss = sup + λ · pseudo. */
  losses(prediction: Prediction, taught: Taught, lesson: Lesson): StepLosses {
    const { options, lossPeers } = this.context;
    const { labels, truth, pseudo, absent, teacherHeads = taught.heads } = lesson;
    const ohem = ohemOptions(this.context, labels);
    const heads = allHeads(prediction);
    const losses = semiSupervisedLosses(heads, truth, pseudo, ohem, absent);
    const loss = withDice(losses.sup, heads, truth, options.dice, lossPeers);
    const sup = withPenalty(loss, prediction, lossPeers);
    const lambda = this.#labelling.weight(lesson.pseudoWeight);
    const total = totalLoss(sup, losses.pseudo, lambda);
    const parts: Record<string, Tensor> = { sup, pseudo: losses.pseudo };
    if (options.reportTeacherLoss) {
      const own = supervisedLoss(teacherHeads, truth, ohem);
      parts.teacherSup = withPenalty(own, taught, lossPeers);
    }
    const watched = this.#watch(prediction.ensemble, labels, lambda);
    return { total, parts, health: { ...taught.health, ...watched } };
  }

  /** Takes in the student's ensemble of the labelled images, [≥ L, K, h, w]; what there is to watch of it. */
  #watch(ensemble: Tensor, truth: Tensor, lambda: number | Tensor): Record<string, Tensor> {
    const { record } = this.#labelling;
    if (record === null) return {};
    return torch.noGrad(() => {
      record.observeStudent(ensemble.detach().narrow(0, 0, truth.shape[0]!), truth);
      return {
        student: record.competence(record.state.studentHits),
        lambda: lambda instanceof torch.Tensor ? lambda : torch.full([], lambda),
      };
    });
  }
}
