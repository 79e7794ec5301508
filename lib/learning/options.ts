import type { Fill } from '../models/missing-modalities/fills.js';
import { checkArguments } from '../torch/check-arguments.js';
import * as is from '../torch/rules.js';
import type { ClassWeighting } from './class-weights.js';

/** `paper`: as the authors' implementation does it. `default`: its quirks mended, one option each. */
export type Fidelity = 'paper' | 'default';

/** How the confidence threshold of pseudo labels rises. */
export interface ConfidenceSchedule {
  from: number;
  iterations: number;
}

/** Everything a framework can be told, resolved. See m3l.md section 5. */
export interface LearningOptions {
  /** `train`: the teacher labels with its dropout and drop-path active (the authors' quirk). */
  teacherMode: 'eval' | 'train';
  /**
   * The ensemble's weights: `untrained` leaves α in no parameter group (the authors' quirk),
   * `trained` gives it one, `fixed` takes its gradient away altogether.
   */
  alpha: 'untrained' | 'trained' | 'fixed';
  /**
   * The learning rate of α as a multiple of the decoder's, where it is trained.
   */
  alphaRate: number;
  /**
   * Whether the head of a modality also learns from samples that lost it (the authors' way). It has no
   * vote there where the ensemble knows who is there.
   */
  absentHeadsLearn: boolean;
  /** Whether the pseudo loss also counts padded pixels (the authors' quirk). */
  pseudoOnPadding: boolean;
  /**
   * Ignore pseudo labels that the teacher gives a lower probability; null: take all. `adaptive`: below
   * its mean confidence on the images without labels, and less for classes that it says rarely
   * (FreeMatch, Wang et al. 2023).
   */
  confidenceThreshold: number | null | 'adaptive';
  /**
   * Over so many `iterations` a threshold that is a number rises (or falls) linearly from `from`; null, the
   * paper's: it is the same from the start.
   */
  confidenceSchedule: Readonly<ConfidenceSchedule> | null;
  /**
   * How far, 0 to 1, the teacher's class shares on images without labels are drawn to those of the
   * labelled pixels (distribution alignment, Berthelot et al. 2020) before it labels.
   */
  distributionAlignment: number;
  /** λ, the weight of the pseudo loss. */
  lambda: number;
  /**
   * λ is multiplied by the teacher's competence on the labelled images, its mean recall over the labelled
   * classes from chance (0) to perfect (1), and falls back where it loses a class that it knew.
   */
  lambdaFollowsTeacher: boolean;
  /** Iterations at the beginning in which λ is 0 (the authors' `n_sup_epochs`). */
  supervisedIterations: number;
  /**
   * Iterations over which λ rises linearly from 0 (Tarvainen & Valpola 2017). 0, the paper's: none.
   * From scratch the first labels of a teacher say little, and a student that believes them stays so.
   */
  lambdaWarmup: number;
  /** `minKept`, where given, stands instead of floor(minKeptFraction · H · W) · batch size. */
  ohem: { threshold: number; minKeptFraction: number; minKept?: number };
  /**
   * Over what the losses of several processes that train together are taken: the whole `batch`, as one
   * process would; or what each `process` has of it, hard pixels chosen there, and the gradients' mean
   * counts (the authors' way).
   */
  lossOver: 'batch' | 'process';
  /** Part of a masked modality's tokens that the mask token replaces, in (0, 1]. */
  maskingRatio: number;
  /**
   * How often a masked sample loses each modality, by name, and 'none', relative to each other; 1 where
   * not given, the paper's. More for the one without which the model has most to learn.
   */
  maskWeights: Readonly<Record<string, number>>;
  /** What replaces a masked modality of a model without a mask token. */
  fill: Fill;
  /** Upper limit of the teacher's EMA factor; null: 1 − 1 / (emaHorizon · iterations), 0.999 at most. */
  emaDecay: number | null;
  /** Over which share of the training the teacher averages, where `emaDecay` is null. */
  emaHorizon: number;
  /** How often, 0 to 1, an unlabelled image has a box of another in it for the student (CutMix, Yun et al. 2019). */
  cutMix: number;
  /** Strength, 0 to 1, of the student's change of brightness, contrast and saturation of pictures; 0: none. */
  colourJitter: number;
  /**
   * What the labelled pixels of each class count in the supervised cross entropy; null: all alike, the
   * paper's. A rule by name is for `train`, which counts the pixels; a framework wants numbers.
   */
  classWeights: readonly number[] | ClassWeighting | null;
  /** γ of the focal loss (Lin et al. 2017) of the labelled pixels; 0, the paper's: none. */
  focal: number;
  /** Weight of a soft Dice loss of the labelled pixels, at the head's resolution (Milletari et al. 2016). */
  dice: number;
  /** BatchNorm stays in evaluation mode while training. */
  freezeBatchNorm: boolean;
  /**
   * Whether mask tokens that a step does not read (those of patch embeddings 2 to 4 never are) have a
   * gradient of 0 in place of none, so that momentum and weight decay still move them (the authors'
   * quirk).
   */
  decayIdleTokens: boolean;
  /** Also report the teacher's own supervised loss (costs its full-size heads). */
  reportTeacherLoss: boolean;
}

/** What may be given of the options of learning; the rest is the preset of the fidelity. */
export type LearningOptionsInput = { fidelity?: Fidelity } & Partial<
  Omit<LearningOptions, 'ohem'>
> & {
    ohem?: Partial<LearningOptions['ohem']>;
  };

const SHARED = {
  lambda: 1,
  lambdaWarmup: 0,
  confidenceSchedule: null,
  supervisedIterations: 0,
  ohem: { threshold: 0.7, minKeptFraction: 0.08 },
  maskingRatio: 1,
  maskWeights: {},
  fill: 'zeros',
  emaHorizon: 0.05,
  classWeights: null,
  focal: 0,
  dice: 0,
  freezeBatchNorm: true,
  reportTeacherLoss: false,
} as const;

const PRESETS: Record<Fidelity, LearningOptions> = {
  paper: {
    ...SHARED,
    teacherMode: 'train',
    alpha: 'untrained',
    alphaRate: 1,
    lossOver: 'process',
    absentHeadsLearn: true,
    pseudoOnPadding: true,
    confidenceThreshold: null,
    distributionAlignment: 0,
    lambdaFollowsTeacher: false,
    emaDecay: 0.99,
    cutMix: 0,
    colourJitter: 0,
    decayIdleTokens: true,
  },
  default: {
    ...SHARED,
    teacherMode: 'eval',
    alpha: 'trained',
    alphaRate: 1,
    lossOver: 'batch',
    absentHeadsLearn: false,
    pseudoOnPadding: false,
    confidenceThreshold: 'adaptive',
    distributionAlignment: 1,
    lambdaFollowsTeacher: true,
    emaDecay: null,
    cutMix: 0.5,
    colourJitter: 0.5,
    decayIdleTokens: false,
  },
};

/** The confidence threshold of an iteration; null where no schedule moves it. */
export function scheduledConfidence(
  options: Pick<LearningOptions, 'confidenceThreshold' | 'confidenceSchedule'>,
  iteration: number,
): number | null {
  checkArguments(
    'scheduledConfidence',
    { options, iteration },
    {
      options: is.shape('options', {
        confidenceSchedule: is.orNull(
          is.shape('schedule', { from: is.finite, iterations: is.finite }),
        ),
      }),
      iteration: is.finite,
    },
  );
  const { confidenceThreshold: to, confidenceSchedule: schedule } = options;
  if (schedule === null || typeof to !== 'number') return null;
  const { from, iterations } = schedule;
  return from + (to - from) * Math.min(1, iteration / iterations);
}

/** The preset of `fidelity` (default: `default`) with whatever else is given put over it. */
export function resolveLearningOptions(given: LearningOptionsInput = {}): LearningOptions {
  checkArguments('resolveLearningOptions', { given }, { given: is.record });

  const { fidelity = 'default', ohem, ...rest } = given;
  const preset = PRESETS[fidelity];
  const set = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined));
  return { ...preset, ...set, ohem: { ...preset.ohem, ...ohem } };
}
