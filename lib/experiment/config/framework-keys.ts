import { z } from 'zod';
import { CLASS_WEIGHTINGS, type FrameworkName, frameworkNames } from '../../learning/index.js';
import { FILLS, models } from '../../models/index.js';
import { count, countOrNone, factor, share, text } from './schema-parts.js';

export const DEFAULT_FRAMEWORK: FrameworkName = 'm3l';

const liveNames = models
  .filter(({ freezeBatchNorm }) => freezeBatchNorm === false)
  .map(({ name }) => name)
  .join(', ');

/** What concerns every framework: what overrides single points of the fidelity's preset. */
export const frameworkKeys = {
  name: z.enum(frameworkNames).default(DEFAULT_FRAMEWORK).describe('How the model is trained.'),
  fidelity: z
    .enum(['paper', 'default'])
    .default('default')
    .describe(
      "`paper` keeps the quirks of the authors' implementation, and evaluates as they do: images squeezed to the crop, logits resized with their corners aligned, OpenCV's nearest pixel; `default` mends them. The keys below override single points of it.",
    ),
  teacherMode: z
    .enum(['eval', 'train'])
    .optional()
    .describe('`train`: the teacher labels with its dropout and drop-path active.'),
  alpha: z
    .enum(['untrained', 'trained', 'fixed'])
    .optional()
    .describe("The ensemble's weights: in no parameter group, in one, or without gradient."),
  alphaRate: factor
    .optional()
    .describe("Their learning rate as a multiple of the decoder's, where they are trained."),
  absentHeadsLearn: z
    .boolean()
    .optional()
    .describe("Whether a modality's head also learns from the samples that lost it."),
  pseudoOnPadding: z
    .boolean()
    .optional()
    .describe('Whether the pseudo-label loss also counts padded pixels.'),
  confidenceThreshold: z
    .union([share, z.literal('adaptive')], "expected a number from 0 to 1, 'adaptive' or null")
    .nullable()
    .optional()
    .describe(
      "Ignores pseudo labels of a lower probability; null: takes all; `adaptive`: below the teacher's mean confidence, less for classes that it says rarely (FreeMatch).",
    ),
  confidenceSchedule: z
    .strictObject({
      from: share.describe('The threshold at the start.'),
      iterations: count.describe('When it has come to `confidenceThreshold`.'),
    })
    .nullable()
    .optional()
    .describe('Moves a `confidenceThreshold` that is a number linearly; null: it stays.'),
  distributionAlignment: share
    .optional()
    .describe(
      "How far the teacher's class shares are drawn to those of the labelled pixels before it labels; 0: not.",
    ),
  lambda: factor.optional().describe('Weight of the pseudo-label loss.'),
  lambdaFollowsTeacher: z
    .boolean()
    .optional()
    .describe(
      "Whether it is multiplied by the teacher's competence on the labelled images, and falls back where the teacher loses a class that it knew.",
    ),
  supervisedIterations: countOrNone
    .optional()
    .describe('Iterations at the beginning without pseudo-label loss.'),
  lambdaWarmup: countOrNone.optional().describe('Iterations over which it rises from 0.'),
  ohem: z
    .strictObject({
      threshold: share.optional().describe('Pixels of a lower probability are hard.'),
      minKeptFraction: share.optional().describe('Part of the pixels kept at least.'),
      minKept: count.optional().describe('Pixels of a batch kept at least, instead of the part.'),
    })
    .optional()
    .describe('Online hard example mining of the supervised loss.'),
  lossOver: z
    .enum(['batch', 'process'])
    .optional()
    .describe(
      "Over what the losses of several processes that train together are taken: the whole batch, as one process would; or each process's part of it, and the gradients' mean counts (the authors' way).",
    ),
  maskingRatio: share
    .optional()
    .describe("Part of a masked modality's tokens that the mask token replaces."),
  maskWeights: z
    .record(text, factor)
    .optional()
    .describe(
      'How often a masked sample loses each modality, or `none`: relative, 1 where not given.',
    ),
  fill: z
    .enum(FILLS)
    .optional()
    .describe('What replaces a masked modality of a model without mask token.'),
  emaDecay: share
    .nullable()
    .optional()
    .describe("Upper limit of the teacher's EMA factor; null: as `emaHorizon` says."),
  emaHorizon: share
    .optional()
    .describe('Share of the training that the teacher averages over, where `emaDecay` is null.'),
  cutMix: share
    .optional()
    .describe("How often the student's unlabelled image has a box of another in it (CutMix)."),
  colourJitter: share
    .optional()
    .describe(
      "Strength of the change of brightness, contrast and saturation of the student's pictures.",
    ),
  classWeights: z
    .union(
      [z.array(factor).min(1).max(255), z.enum(CLASS_WEIGHTINGS)],
      `expected a list of numbers, one for each class, ${CLASS_WEIGHTINGS.map((name) => `'${name}'`).join(', ')} or null`,
    )
    .nullable()
    .optional()
    .describe(
      'What the labelled pixels of each class count in the supervised cross entropy; null: all alike. By name they follow the share f of a class among the labelled pixels, which training counts first: 1/f, 1/√f or (of ENet) 1/ln(1.02 + f), the mean 1.',
    ),
  focal: factor
    .max(20)
    .optional()
    .describe('γ of a focal loss of the labelled pixels: they count (1 − p)^γ; 0: none.'),
  dice: factor.optional().describe('Weight of a soft Dice loss beside the supervised one.'),
  freezeBatchNorm: z
    .boolean()
    .optional()
    .describe(
      `BatchNorm stays in evaluation mode while training. Absent: so it is, save in networks that need the statistics of their batches (${liveNames}).`,
    ),
  decayIdleTokens: z
    .boolean()
    .optional()
    .describe('Whether weight decay also moves mask tokens that a step does not read.'),
  reportTeacherLoss: z
    .boolean()
    .optional()
    .describe("Also report the teacher's own supervised loss, at a cost."),
};
