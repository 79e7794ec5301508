import { type Batch, type ModalitySpec, mixSeed } from '../data/index.js';
import type { Masks, Prediction, SegmentationModel } from '../models/index.js';
import { fillMasked } from '../models/missing-modalities/fill.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import { EmaTeacher } from './ema.js';
import { LearningError } from './errors.js';
import { minKeptPixels, type OhemOptions, pseudoWeight } from './losses.js';
import { type MaskDraw, unmasked } from './masking.js';
import type { LearningOptions } from './options.js';

/** What one training step learns from. */
export interface TrainingBatch {
  labelled: Batch;
  unlabelled?: Batch;
}

export interface StepLosses {
  /** Scalar to differentiate. */
  total: Tensor;
  /** What it is made of, and what is only reported; scalars. */
  parts: Record<string, Tensor>;
}

/** In what the computation of one iteration differs from another's, its batch aside. */
export interface StepDraw<Sampled = readonly number[], Weight = number> {
  /** Per student sample the modality it loses, −1 for none. */
  readonly masked: Sampled;
  /** λ of the iteration. */
  readonly pseudoWeight: Weight;
  /** Seeds which tokens a part-masked modality loses; null where the losses must not need it. */
  readonly tokenSeed: number | null;
}

/** A draw of which some is on the device: a captured graph reads it anew at every replay. */
export type AnyDraw = StepDraw<Masks, number | Tensor>;

/** A way to learn: turns a batch into losses, and keeps a teacher where it has one. */
export interface Framework {
  readonly name: string;
  readonly student: SegmentationModel;
  readonly teacher: EmaTeacher | null;
  readonly options: LearningOptions;
  /** Whether a step needs unlabelled images. */
  readonly semiSupervised: boolean;
  /** Whether the student's samples lose modalities. */
  readonly drawsMasks: boolean;
  /** What `iteration` determines, and the sizes of the batch. */
  draw(batch: TrainingBatch, iteration: number): StepDraw;
  /** The forward half of a training step: a function of batch, draw, weights and generator. */
  losses(batch: TrainingBatch, draw: AnyDraw): StepLosses;
  /** After the optimiser's step: moves the teacher; returns its EMA factor, null without one. */
  update(iteration: number): number | null;
}

/** What a framework is made from. */
export interface FrameworkContext {
  student: SegmentationModel;
  /** A model of the same architecture that becomes the teacher, where the framework has one. */
  teacher?: SegmentationModel;
  modalities: readonly ModalitySpec[];
  options: LearningOptions;
  masks: MaskDraw;
  seed: number;
}

/** How many samples a batch has. */
export function sizeOf({ modalities: [first] }: Batch): number {
  return first!.shape[0]!;
}

/** Several batches as one, in order. */
export interface Joined {
  /** M × [B, 3, H, W] */
  modalities: Tensor[];
  /** [B, H, W] bool, false where padded; null: nowhere. */
  valid: Tensor | null;
  size: number;
}

export function joinBatches(...batches: Batch[]): Joined {
  const modalities = batches[0]!.modalities.map((_, m) =>
    torch.cat(batches.map((batch) => batch.modalities[m]!)),
  );
  const valid = batches.every((batch) => batch.valid === null)
    ? null
    : torch.cat(batches.map((batch) => batch.valid ?? validEverywhere(batch)));
  return { modalities, valid, size: modalities[0]!.shape[0]! };
}

function validEverywhere({ modalities: [first] }: Batch): Tensor {
  const [batch, , height, width] = first!.shape as [number, number, number, number];
  return torch.ones([batch, height, width], { dtype: 'bool', device: first!.device });
}

/**
 * Predictions with modality `masked[b]` of sample b missing, by mask token or else by fill; at the
 * resolution of the model's head, which is what the losses take.
 */
export function forward(
  context: FrameworkContext,
  model: SegmentationModel,
  modalities: Tensor[],
  masked: Masks,
  tokenSeed: number | null,
): Prediction {
  const upsample = false;
  const onHost = !(masked instanceof torch.Tensor);
  if (onHost && masked.every((lost) => lost < 0)) return model.forward(modalities, { upsample });
  const { options } = context;
  const { maskingRatio } = options;
  const generator = () =>
    tokenSeed === null
      ? undefined
      : new torch.Generator(modalities[0]!.device).manualSeed(tokenSeed);
  if (!model.hasMaskToken) {
    const drawn = options.fill === 'noise' ? generator() : undefined;
    const filled = fillMasked(modalities, masked, context.modalities, options.fill, drawn);
    return model.forward(filled, { upsample });
  }
  if (maskingRatio === 1) return model.forward(modalities, { masked, upsample });
  return model.forward(modalities, { masked, maskingRatio, generator: generator(), upsample });
}

/** The draw of an iteration whose student's samples are masked like this. */
export function drawOf(
  { options, seed }: FrameworkContext,
  iteration: number,
  masked: readonly number[],
): StepDraw {
  return {
    masked,
    pseudoWeight: pseudoWeight(options, iteration),
    tokenSeed: mixSeed(seed, iteration, 0x746f6b),
  };
}

/** The draw of a student that sees [L, L, U], the second L and U masked. */
export function drawSecondMasked(
  context: FrameworkContext,
  batch: TrainingBatch,
  iteration: number,
  name: string,
): StepDraw {
  const count = sizeOf(batch.labelled);
  const others = count + sizeOf(unlabelledOf(batch, name));
  return drawOf(context, iteration, [...unmasked(count), ...context.masks(iteration, others)]);
}

/** The OHEM options of a step on `labels` [L, H, W]. */
export function ohemOptions({ options }: FrameworkContext, labels: Tensor): OhemOptions {
  const { threshold, minKeptFraction, minKept } = options.ohem;
  return { threshold, minKept: minKept ?? minKeptPixels(labels, minKeptFraction) };
}

export function createTeacher(context: FrameworkContext, framework: string): EmaTeacher {
  const { student, teacher, options } = context;
  if (teacher === undefined || teacher === student) {
    throw new LearningError(
      'M3L_NO_TEACHER',
      `${framework} was given ${teacher ? 'the student itself as' : 'no'} teacher: expected a second ` +
        'model of the same architecture. Create one with the same options and pass it as `teacher`.',
    );
  }
  return new EmaTeacher(teacher, student, {
    mode: options.teacherMode,
    decay: options.emaDecay,
    freezeBatchNorm: options.freezeBatchNorm,
  });
}

export function labelsOf(batch: Batch): Tensor {
  if (batch.labels) return batch.labels;
  throw new LearningError(
    'M3L_NO_LABELS',
    `the labelled batch (${batch.names.join(', ')}) has no labels. Give a list with a label column.`,
  );
}

export function unlabelledOf(batch: TrainingBatch, framework: string): Batch {
  if (batch.unlabelled) return batch.unlabelled;
  throw new LearningError(
    'M3L_NO_UNLABELLED',
    `${framework} learns from unlabelled images too, and the batch has none. ` +
      'Give a list of unlabelled images, or choose a supervised framework.',
  );
}
