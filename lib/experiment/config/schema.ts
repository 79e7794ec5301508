import { z } from 'zod';
import {
  type Fidelity,
  type FrameworkDescriptor,
  type FrameworkName,
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
import { LOGGER_NAMES, LOGGERS } from '../logging/registry.js';
import { allOptions, type Choice, chosen, ownersOf, withoutForeign } from './choice.js';
import { data } from './data-schema.js';
import { DEFAULT_FRAMEWORK, frameworkKeys } from './framework-keys.js';
import {
  count,
  countOrNone,
  factor,
  type KeyMeta,
  path,
  seed,
  shorthand,
  size,
  text,
} from './schema-parts.js';
import { isRecord } from './shape.js';

/** What `model.pretrained` may say beside a file: random weights, or those trained on procedural rooms. */
export const PRETRAINED_WORDS = ['none', 'rooms'] as const;

const DEFAULT_MODEL: ModelName = 'linear-fusion';

const named = (value: unknown) => (typeof value === 'string' ? { name: value } : value);

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

/** A model's keys, and the options of its own with the defaults of the fidelity. */
function modelSchema(chosen: ModelDescriptor, fidelity: unknown) {
  return shorthand(
    (value) => withoutForeign(named(value), chosen, models),
    z.strictObject({ ...modelKeys, ...ownKeys(chosen, fidelity) }),
  );
}

/** A framework's keys, and the options of its own with the defaults of the fidelity. */
function frameworkSchema(chosen: FrameworkDescriptor, fidelity: unknown) {
  return shorthand(
    (value) => withoutForeign(named(value), chosen, frameworks),
    z.strictObject({ ...frameworkKeys, ...ownKeys(chosen, fidelity) }),
  );
}

function ownKeys({ options, paperOptions = {} }: Choice, fidelity: unknown) {
  const shape: Record<string, z.ZodType> = { ...options?.shape };
  const paper = fidelity === 'paper' ? paperOptions : {};
  for (const [key, value] of Object.entries(paper)) shape[key] = shape[key]!.default(value);
  return shape;
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
  scales: z
    .array(z.number().min(0.1).max(8))
    .min(1)
    .max(16)
    .default([1])
    .describe('Averages the logits of the images at these multiples of their size.'),
  window: size
    .optional()
    .describe(
      'Predicts overlapping parts of this [height, width] each by itself, and averages; absent: images as a whole.',
    ),
  windowOverlap: z
    .number()
    .min(0)
    .max(0.9)
    .default(0.5)
    .describe('Share of a window’s side that it has in common with the next at least.'),
  calibration: z
    .boolean()
    .default(false)
    .describe(
      'Also measures how far the ensemble is as often right as it is sure (expected calibration error).',
    ),
  boundary: z
    .boolean()
    .default(false)
    .describe('Also measures the boundary IoU of the ensemble, at a cost.'),
  average: z
    .boolean()
    .default(false)
    .describe(
      'Where a framework trains several networks (`cps`): the mean of their logits answers, instead of the first.',
    ),
  samples: countOrNone
    .max(1000)
    .default(4)
    .describe('Rows of the contact sheet; 0: none is drawn.'),
});

const checkpoint = z.strictObject({
  every: countOrNone.default(500).describe('Iterations between checkpoints; 0: only at the end.'),
  keep: count.default(2).describe('How many of the latest to keep; the best is kept besides.'),
});

const logging = shorthand(
  (value) => (typeof value === 'string' ? [value] : value),
  z.array(z.enum(LOGGER_NAMES)).max(LOGGER_NAMES.length),
);

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
  logging: logging
    .prefault([])
    .describe(
      `Where metrics go beside metrics.jsonl: ${LOGGERS.map(({ name, summary }) => `\`${name}\`, ${summary}`).join('; ')}. See logging.md.`,
    ),
  seed: seed.default(1).describe('Of the weights, the batches and all that is drawn.'),
  device: z
    .string()
    .regex(/^(auto|cpu|cuda(:\d{1,3})?)$/, "expected 'auto', 'cpu', 'cuda' or 'cuda:N'")
    .default('auto')
    .describe(
      '`cpu`, `cuda`, `cuda:N`, or `auto`: the first CUDA device where libtorch sees one, else the CPU, which is said at the start.',
    ),
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
    framework: frameworkSchema(framework, fidelity).prefault({}),
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
