import { z } from 'zod';
import {
  type Fidelity,
  type FrameworkDescriptor,
  type FrameworkName,
  frameworkNames,
  frameworks,
  type LearningOptions,
} from '../../learning/index.js';
import {
  FILLS,
  type Fill,
  type ModelDescriptor,
  type ModelName,
  modelNames,
  models,
} from '../../models/index.js';
import { allOptions, chosen, ownersOf, withoutForeign } from './choice.js';
import { data } from './data-schema.js';
import {
  count,
  countOrNone,
  factor,
  type KeyMeta,
  path,
  seed,
  share,
  shorthand,
  text,
} from './schema-parts.js';
import { isRecord } from './shape.js';

/** What `model.pretrained` may say beside a file: random weights, or those trained on procedural rooms. */
export const PRETRAINED_WORDS = ['none', 'rooms'] as const;

const DEFAULT_MODEL: ModelName = 'linear-fusion';
const DEFAULT_FRAMEWORK: FrameworkName = 'm3l';

const named = (value: unknown) => (typeof value === 'string' ? { name: value } : value);

const liveNames = models
  .filter(({ freezeBatchNorm }) => freezeBatchNorm === false)
  .map(({ name }) => name)
  .join(', ');

const batchSize = count.max(65_536);
const batchSizeOrNone = countOrNone.max(65_536);

/** What concerns every model. */
const modelKeys = {
  name: z.enum(modelNames).default(DEFAULT_MODEL).describe('The model.'),
  maskToken: z
    .boolean()
    .optional()
    .describe('A learned token for missing modalities; absent: as the framework needs it.'),
  pretrained: text
    .meta({ path: 'file', words: PRETRAINED_WORDS } satisfies KeyMeta)
    .optional()
    .describe(
      'The encoder weights to start from: `rooms`, those trained on procedural rooms; `none`, or absent, random ones; or a safetensors file (of `m3l pretrain`, NVIDIA’s or Hugging Face’s). Each modality takes the norms of the trained modality of its kind, rgb’s where there is none.',
    ),
};

/** What concerns every framework: what overrides single points of the fidelity's preset. */
const frameworkKeys = {
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

/** A model's keys, and the options of its own with the defaults of the fidelity. */
function modelSchema(chosen: ModelDescriptor, fidelity: unknown) {
  const shape: Record<string, z.ZodType> = { ...chosen.options.shape };
  const paper = fidelity === 'paper' ? (chosen.paperOptions ?? {}) : {};
  for (const [key, value] of Object.entries(paper)) shape[key] = shape[key]!.default(value);
  return shorthand(
    (value) => withoutForeign(named(value), chosen, models),
    z.strictObject({ ...modelKeys, ...shape }),
  );
}

/** A framework's keys, and the options of its own. */
function frameworkSchema(chosen: FrameworkDescriptor) {
  return shorthand(
    (value) => withoutForeign(named(value), chosen, frameworks),
    z.strictObject({ ...frameworkKeys, ...chosen.options?.shape }),
  );
}

const rate = z.number().positive().max(1000);

const optimiser = z.strictObject({
  name: z.enum(['adamw', 'sgd']).default('adamw').describe('`sgd` with momentum 0.9.'),
  encoderLr: rate
    .optional()
    .describe(
      'Learning rate of the encoder. Absent, by rule of thumb: 6e-4 from scratch, 3e-4 with trained weights to start from (`model.pretrained`, `initialise`); with `sgd` or `framework.fidelity: paper` 1e-4.',
    ),
  decoderLr: rate.optional().describe('Learning rate of all else. Absent: three times as much.'),
  weightDecay: factor
    .default(1e-4)
    .describe("Of all but the encoder's norms and the ensemble's weights."),
  clipGradientNorm: z
    .number()
    .positive()
    .max(1e9)
    .nullable()
    .default(null)
    .describe('Gradients are scaled down to this global 2-norm at most; null: they are left.'),
});

const schedule = z.strictObject({
  name: z
    .enum(['poly', 'constant'])
    .default('poly')
    .describe('`poly`: rates fall as (1 − iteration / iterations)^power.'),
  power: z.number().positive().max(100).default(0.9).describe('Of `poly`.'),
  warmup: countOrNone
    .optional()
    .describe(
      'Iterations over which the rates rise to their full value. Absent: 5 % of all from scratch, 2 % from trained weights, at most 500; `framework.fidelity: paper`: 0.',
    ),
});

const evaluate = z.strictObject({
  every: countOrNone
    .optional()
    .describe(
      'Iterations between evaluations; 0: only at the end. Absent: a quarter of all, in whole hundreds; `framework.fidelity: paper`: 0.',
    ),
  batch: batchSize.default(4).describe('Images evaluated at a time.'),
  fill: z
    .enum(FILLS)
    .optional()
    .describe(
      'What stands for a missing modality in a model without mask token; absent: `framework.fill`.',
    ),
  subsets: z
    .boolean()
    .default(false)
    .describe('Evaluates every non-empty set of modalities, not only all and each one missing.'),
  flip: z
    .boolean()
    .default(false)
    .describe('Averages the logits with those of the mirrored image, as the paper may.'),
  samples: countOrNone
    .max(1000)
    .default(4)
    .describe('Rows of the contact sheet; 0: none is drawn.'),
});

const checkpoint = z.strictObject({
  every: countOrNone.default(500).describe('Iterations between checkpoints; 0: only at the end.'),
  keep: count.default(2).describe('How many of the latest to keep; the best is kept besides.'),
});

/** What every configuration has beside model and framework. */
const common = {
  name: z
    .string()
    .max(200)
    .regex(/^[\w.-]+$/, 'expected letters, digits, dots, dashes or underscores')
    .optional()
    .describe("Names the run folder; absent: the configuration file's name. Not inherited."),
  initialise: path
    .optional()
    .describe(
      'A run folder (its latest checkpoint) or a checkpoint folder whose weights to start from: those of its teacher, or else its student. Classifiers of other classes start afresh.',
    ),
  data: data.describe('The data set, and how its images reach the model.'),
  optimiser: optimiser.prefault({}).describe('What moves the weights.'),
  schedule: schedule.prefault({}).describe('How the learning rates change.'),
  iterations: count
    .optional()
    .describe(
      'Training steps. Absent: 2,000 · √(training images / 50), from 2,000 to 15,000 in steps of 500; `framework.fidelity: paper`: 15,370.',
    ),
  batch: z
    .strictObject({
      labelled: batchSize
        .optional()
        .describe(
          'Labelled images a step. Absent: as many as there are, at most 8; `framework.fidelity: paper`: 16.',
        ),
      unlabelled: batchSizeOrNone
        .optional()
        .describe('Unlabelled images a step. Absent: by the same rule.'),
    })
    .prefault({})
    .describe('Images of a training step.'),
  evaluate: evaluate.prefault({}).describe('When and how the validation list is evaluated.'),
  checkpoint: checkpoint.prefault({}).describe('When the state is saved.'),
  seed: seed.default(1).describe('Of the weights, the batches and all that is drawn.'),
  device: z
    .string()
    .regex(/^(cpu|cuda(:\d{1,3})?)$/, "expected 'cpu', 'cuda' or 'cuda:N'")
    .default('cpu')
    .describe('`cpu`, `cuda` or `cuda:N`.'),
  precision: z
    .enum(['float32', 'tf32', 'bfloat16'])
    .default('float32')
    .describe(
      'What networks compute products in. `bfloat16`: by autocast, weights and sums stay float32; `tf32`: float32 with TF32 products on a CUDA device, `float32` elsewhere.',
    ),
  channelsLast: z
    .boolean()
    .default(false)
    .describe('Lays the weights of convolutions out channels-last, as the activations are.'),
  cudaGraph: z
    .boolean()
    .default(false)
    .describe(
      'On a CUDA device: records the training step as CUDA graphs and replays them, which spares the time of launching its kernels one by one.',
    ),
  threads: count
    .max(1024)
    .optional()
    .describe('Threads that libtorch computes with; absent: its own choice.'),
  workers: countOrNone
    .max(256)
    .default(1)
    .describe('Worker threads that load images; 0: the main thread does.'),
};

/** The schema of configurations with this model and this framework. */
function schemaOf(model: ModelDescriptor, framework: FrameworkDescriptor, fidelity: unknown) {
  return z.strictObject({
    ...common,
    model: modelSchema(model, fidelity).prefault({}),
    framework: frameworkSchema(framework).prefault({}),
  });
}

/**
 * Where keys are, whichever model and framework: for short forms, paths, overrides and the reference
 * page. It has the options of all of them.
 */
export const layoutSchema = z.strictObject({
  ...common,
  model: shorthand(named, z.strictObject({ ...modelKeys, ...allOptions(models) }))
    .prefault({})
    .describe('The network; a text is short for `{ name: … }`.'),
  framework: shorthand(named, z.strictObject({ ...frameworkKeys, ...allOptions(frameworks) }))
    .prefault({})
    .describe('The way of training; a text is short for `{ name: … }`.'),
});

/** The schema that a raw configuration is to be checked with: that of what it names, and its fidelity's. */
export function configSchemaFor(raw: unknown): ConfigSchema {
  const framework = isRecord(raw) ? raw.framework : undefined;
  return schemaOf(
    chosen(raw, 'model', models, DEFAULT_MODEL),
    chosen(raw, 'framework', frameworks, DEFAULT_FRAMEWORK),
    isRecord(framework) ? framework.fidelity : undefined,
  );
}

export type ConfigSchema = ReturnType<typeof schemaOf>;
/** What the schema gives, before model, framework and data are held against each other. */
export type CheckedConfig = z.output<ConfigSchema>;

/**
 * A checked configuration. Keys that follow the data or the start are open where they were not written:
 * see `followData`.
 */
export type Config = Omit<CheckedConfig, 'model' | 'framework' | 'evaluate'> & {
  name: string;
  /** With the options of that model. */
  model: { name: ModelName; maskToken: boolean; pretrained?: string } & Record<string, unknown>;
  /** With the options that the framework has of its own. */
  framework: LearningOptions & { name: FrameworkName; fidelity: Fidelity };
  evaluate: CheckedConfig['evaluate'] & { fill: Fill };
};

/** A configuration with every key filled in: what a run is trained with. */
export type SettledConfig = Config & {
  data: { crop: [number, number]; cropMostOneClass: number | null; scales: number[] };
  optimiser: { encoderLr: number; decoderLr: number };
  schedule: { warmup: number };
  iterations: number;
  batch: { labelled: number; unlabelled: number };
  evaluate: { every: number };
};

/** Names of the models or frameworks, as `key` says, that have an option. */
export function optionOwners(key: string, option: string): string[] {
  return key === 'model' || key === 'framework'
    ? ownersOf(option, key === 'model' ? models : frameworks)
    : [];
}
