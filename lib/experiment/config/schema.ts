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
import { chosen, ownersOf, withoutForeign } from './choice.js';
import { data } from './data-schema.js';
import { count, countOrNone, share, shorthand } from './schema-parts.js';

const DEFAULT_MODEL: ModelName = 'linear-fusion';
const DEFAULT_FRAMEWORK: FrameworkName = 'm3l';

const named = (value: unknown) => (typeof value === 'string' ? { name: value } : value);

/** A model's name, what concerns each, and the options of its own. */
function modelSchema(chosen: ModelDescriptor) {
  return shorthand(
    (value) => withoutForeign(named(value), chosen, models),
    z.strictObject({
      name: z.enum(modelNames).default(DEFAULT_MODEL),
      ...chosen.options.shape,
      /** A learned token for missing modalities; absent: where the framework masks them. */
      maskToken: z.boolean().optional(),
      /** A safetensors file of encoder weights to start from. */
      pretrained: z.string().optional(),
    }),
  );
}

/** A framework's name, what overrides single points of the fidelity's preset, and its own options. */
function frameworkSchema(chosen: FrameworkDescriptor) {
  return shorthand(
    (value) => withoutForeign(named(value), chosen, frameworks),
    z.strictObject({
      name: z.enum(frameworkNames).default(DEFAULT_FRAMEWORK),
      /**
       * `paper` keeps the quirks that m3l.md section 5 lists, and evaluates as section 7 says: images
       * squeezed to the crop, logits resized with their corners aligned, OpenCV's nearest pixel.
       * `default` mends them.
       */
      fidelity: z.enum(['paper', 'default']).default('default'),
      // What follows overrides single points of the fidelity's preset: see LearningOptions.
      teacherMode: z.enum(['eval', 'train']).optional(),
      alpha: z.enum(['untrained', 'trained', 'fixed']).optional(),
      pseudoOnPadding: z.boolean().optional(),
      confidenceThreshold: share.nullable().optional(),
      /** Weight of the pseudo-label loss. */
      lambda: z.number().nonnegative().optional(),
      /** Iterations over which it rises from 0. */
      lambdaWarmup: countOrNone.optional(),
      ohem: z
        .strictObject({
          threshold: share.optional(),
          minKeptFraction: share.optional(),
          minKept: count.optional(),
        })
        .optional(),
      maskingRatio: share.optional(),
      /** How often a masked sample loses each modality, or `none`: relative, 1 where not given. */
      maskWeights: z.record(z.string(), z.number().nonnegative()).optional(),
      /** What a masked modality is replaced by, where the model has no mask token. */
      fill: z.enum(FILLS).optional(),
      emaDecay: share.optional(),
      freezeBatchNorm: z.boolean().optional(),
      reportTeacherLoss: z.boolean().optional(),
      ...chosen.options?.shape,
    }),
  );
}

const optimiser = z.strictObject({
  name: z.enum(['adamw', 'sgd']).default('adamw'),
  encoderLr: z.number().positive().default(1e-4),
  decoderLr: z.number().positive().default(3e-4),
  weightDecay: z.number().nonnegative().default(1e-4),
});

const schedule = z.strictObject({
  name: z.enum(['poly', 'constant']).default('poly'),
  power: z.number().positive().default(0.9),
  /** Iterations over which the rates rise to their full value. */
  warmup: countOrNone.default(0),
});

const evaluate = z.strictObject({
  /** Iterations between evaluations; 0: only at the end. */
  every: countOrNone.default(0),
  batch: count.default(4),
  /** What stands for a missing modality in a model without mask token; absent: `framework.fill`. */
  fill: z.enum(FILLS).optional(),
  /** Averages predictions with those of the mirrored images. */
  flip: z.boolean().default(false),
  /** Evaluates every non-empty set of modalities, not only all and each one missing. */
  subsets: z.boolean().default(false),
  /** Rows of the contact sheet; 0: none is drawn. */
  samples: countOrNone.default(4),
});

const checkpoint = z.strictObject({
  /** Iterations between checkpoints; 0: only at the end. */
  every: countOrNone.default(500),
  /** How many of the latest to keep (the best one is kept besides). */
  keep: count.default(2),
});

/** What every configuration has beside model and framework. */
const common = {
  /** Names the run folder; absent: the configuration file's name. */
  name: z
    .string()
    .regex(/^[\w.-]+$/, 'expected letters, digits, dots, dashes or underscores')
    .optional(),
  data,
  optimiser: optimiser.prefault({}),
  schedule: schedule.prefault({}),
  iterations: count.default(15_370),
  batch: z
    .strictObject({ labelled: count.default(16), unlabelled: countOrNone.default(16) })
    .prefault({}),
  evaluate: evaluate.prefault({}),
  checkpoint: checkpoint.prefault({}),
  seed: countOrNone.default(1),
  device: z
    .string()
    .regex(/^(cpu|cuda(:\d+)?)$/, "expected 'cpu', 'cuda' or 'cuda:N'")
    .default('cpu'),
  /**
   * What networks compute products in. `bfloat16`: by autocast, weights and sums stay float32; `tf32`:
   * float32 with TF32 products on a CUDA device, `float32` elsewhere.
   */
  precision: z.enum(['float32', 'tf32', 'bfloat16']).default('float32'),
  /** Lay the weights of convolutions out channels-last, as the activations are. */
  channelsLast: z.boolean().default(false),
  /**
   * On a CUDA device: record the training step as CUDA graphs and replay them, which spares the time of
   * launching its kernels one by one. The same numbers.
   */
  cudaGraph: z.boolean().default(false),
  /** Threads that libtorch computes with; absent: its own choice. */
  threads: count.optional(),
  /** Worker threads that load images; 0: the main thread does. */
  workers: countOrNone.default(1),
};

/** The schema of configurations with this model and this framework. */
function schemaOf(model: ModelDescriptor, framework: FrameworkDescriptor) {
  const { name, data, ...others } = common;
  return z.strictObject({
    name,
    data,
    model: modelSchema(model).prefault({}),
    framework: frameworkSchema(framework).prefault({}),
    ...others,
  });
}

/** The schema that a raw configuration is to be checked with: that of the model and framework it names. */
export function configSchemaFor(raw: unknown): ConfigSchema {
  return schemaOf(
    chosen(raw, 'model', models, DEFAULT_MODEL),
    chosen(raw, 'framework', frameworks, DEFAULT_FRAMEWORK),
  );
}

export type ConfigSchema = ReturnType<typeof schemaOf>;
/** What the schema gives, before model, framework and data are held against each other. */
export type CheckedConfig = z.output<ConfigSchema>;

/** A checked configuration with every default filled in. */
export type Config = Omit<CheckedConfig, 'model' | 'framework' | 'evaluate'> & {
  name: string;
  /** With the options of that model. */
  model: { name: ModelName; maskToken: boolean; pretrained?: string } & Record<string, unknown>;
  /** With the options that the framework has of its own. */
  framework: LearningOptions & { name: FrameworkName; fidelity: Fidelity };
  evaluate: CheckedConfig['evaluate'] & { fill: Fill };
};

/** Names of the models or frameworks, as `key` says, that have an option. */
export function optionOwners(key: string, option: string): string[] {
  return key === 'model' || key === 'framework'
    ? ownersOf(option, key === 'model' ? models : frameworks)
    : [];
}
