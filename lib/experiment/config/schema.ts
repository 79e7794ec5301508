import { z } from 'zod';
import type { LearningOptions } from '../../learning/index.js';
import { data } from './data-schema.js';
import { count, countOrNone, share, shorthand } from './schema-parts.js';

export const FRAMEWORKS = [
  'supervised',
  'supervised-modality-dropout',
  'mean-teacher',
  'mean-teacher-modality-dropout',
  'm3l',
] as const;

export const MODELS = ['linear-fusion', 'segformer'] as const;

export const BACKBONES = ['mit-b0', 'mit-b1', 'mit-b2', 'mit-b3', 'mit-b4', 'mit-b5'] as const;

const model = shorthand(
  (value) => (typeof value === 'string' ? { name: value } : value),
  z.strictObject({
    name: z.enum(MODELS).default('linear-fusion'),
    backbone: z.enum(BACKBONES).default('mit-b2'),
    /** A learned token for missing modalities; absent: as the framework needs it. */
    maskToken: z.boolean().optional(),
    /** Standard deviation of its initial values. */
    maskTokenStd: z.number().nonnegative().default(1),
    fusionRatio: share.default(0.8),
    dropPath: share.default(0.1),
    dropout: share.default(0.1),
    /** A safetensors file of encoder weights to start from. */
    pretrained: z.string().optional(),
  }),
);

const framework = shorthand(
  (value) => (typeof value === 'string' ? { name: value } : value),
  z.strictObject({
    name: z.enum(FRAMEWORKS).default('m3l'),
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
    fill: z.enum(['zeros', 'noise', 'mean']).optional(),
    emaDecay: share.optional(),
    freezeBatchNorm: z.boolean().optional(),
    reportTeacherLoss: z.boolean().optional(),
  }),
);

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
  /** What stands for a missing modality in a model without mask token. */
  fill: z.enum(['zeros', 'noise', 'mean']).default('zeros'),
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

export const configSchema = z.strictObject({
  /** Names the run folder; absent: the configuration file's name. */
  name: z
    .string()
    .regex(/^[\w.-]+$/, 'expected letters, digits, dots, dashes or underscores')
    .optional(),
  data,
  model: model.prefault({}),
  framework: framework.prefault({}),
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
});

type Checked = z.output<typeof configSchema>;

/** A checked configuration with every default filled in. */
export type Config = Omit<Checked, 'framework'> & {
  name: string;
  framework: LearningOptions & Pick<Checked['framework'], 'name' | 'fidelity'>;
};

/** Frameworks that mask modalities while training, and so need a mask token. */
export function needsMaskToken(name: Config['framework']['name']): boolean {
  return name === 'm3l' || name.endsWith('modality-dropout');
}

/** Frameworks whose student also sees unlabelled images. */
export function isSemiSupervised(name: Config['framework']['name']): boolean {
  return !name.startsWith('supervised');
}
